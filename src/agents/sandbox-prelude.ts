/**
 * The part of a sandbox that runs inside the realm: the `console` and the formatter of values, as program text.
 *
 * The text is one expression: a function of `send` that installs `console` and returns the functions the host calls.
 * It depends on nothing but the language, so that the examples' expectations can be computed with the same rules
 * on another engine.
 *
 * Invariants
 *   P1. The built-ins it needs are captured before the first program runs; a program that replaces them changes its own text at most.
 *   P2. `send` takes one non-empty string: the channel's digit, then at most `CHUNK` characters of well-formed text that hold
 *       no NUL; a digit alone stands for one NUL. (The bridge ends strings at NUL and drops a leading byte order mark.)
 *   P3. Formatting never calls a getter of the program's objects; of proxies it meets the traps, and Errors are read as `catch` would.
 *   P4. The text holds neither a backtick nor a dollar sign before a brace, because it stands in a raw template.
 *
 * How values read: strings raw at the top and JSON-quoted inside; `undefined`, `null`, `-0`, `123n`, `Symbol(x)`;
 * `[1, 2]`, `{a: 1, "odd key": 2}`, `Point {x: 1}`, `Map(1) {"k" => 1}`, `Set(2) {1, 2}`, `Uint8Array(2) [1, 2]`,
 * `[Function: name]`, `[class Name]`, `Name: message`, dates in ISO form, `[Getter]`, `[Promise]`, `<empty>` for a hole;
 * `[Circular]`, deeper than `MAX_DEPTH` `[Array]` or `[Object]`, and after `MAX_ENTRIES` entries `... n more`.
 * Console arguments read like results and are joined by a space; there are no percent directives. An array's extra
 * properties are not shown.
 */

/** What a channel carries; the digit that begins a chunk. */
export const CHANNELS = { output: 0, result: 1, errorName: 2, errorMessage: 3, errorStack: 4 } as const;

/** Names of the functions that the prelude's own function returns. */
export type PreludeFunction = "report" | "describe" | "probe";

export const SANDBOX_PRELUDE = String.raw`(function (send) {
  "use strict";
  const CHUNK = 65536, MAX_DEPTH = 8, MAX_ENTRIES = 200;
  const uncurry = Function.prototype.bind.bind(Function.prototype.call);
  const { getPrototypeOf, getOwnPropertyDescriptor, is } = Object;
  const { ownKeys } = Reflect, { isArray } = Array, { stringify } = JSON, { isView } = ArrayBuffer;
  const toText = String, Bytes = ArrayBuffer, ErrorBase = Error, PromiseBase = Promise, DataViewBase = DataView;
  const objectProto = Object.prototype, arrayProto = Array.prototype, identifier = /^[A-Za-z_$][\w$]*$/;
  const slice = uncurry(String.prototype.slice), indexOf = uncurry(String.prototype.indexOf);
  const codeAt = uncurry(String.prototype.charCodeAt), wellFormed = uncurry(String.prototype.toWellFormed);
  const exec = uncurry(RegExp.prototype.exec), functionText = uncurry(Function.prototype.toString);
  const dateTime = uncurry(Date.prototype.getTime), dateText = uncurry(Date.prototype.toISOString);
  const mapEach = uncurry(Map.prototype.forEach), setEach = uncurry(Set.prototype.forEach);
  const getter = (object, key) => uncurry(getOwnPropertyDescriptor(object, key).get);
  const mapSize = getter(Map.prototype, "size"), setSize = getter(Set.prototype, "size");
  const regexpSource = getter(RegExp.prototype, "source"), regexpFlags = getter(RegExp.prototype, "flags");
  const viewLength = getter(getPrototypeOf(Uint8Array.prototype), "length");
  const symbolText = uncurry(Symbol.prototype.toString);

  function put(channel, raw) {
    const text = wellFormed(raw);
    for (let from = 0; from < text.length; ) {
      let end = indexOf(text, "\0", from);
      if (end === from) { send(channel); from += 1; continue; }
      if (end < 0) end = text.length;
      if (end - from > CHUNK) end = from + CHUNK;
      const last = codeAt(text, end - 1);
      if (end < text.length && last >= 0xd800 && last < 0xdc00) end -= 1;
      send(channel + slice(text, from, end));
      from = end;
    }
  }

  // Whether the value has the slot that the method checks; instanceof would believe a prototype.
  const accepts = (method, value) => { try { method(value); return true; } catch { return false; } };

  function ownName(value) {
    const entry = getOwnPropertyDescriptor(value, "name");
    return entry && typeof entry.value === "string" ? entry.value : "";
  }

  function className(value) {
    for (let at = getPrototypeOf(value), n = 0; at !== null && n < 100; at = getPrototypeOf(at), n += 1) {
      if (at === objectProto || at === arrayProto) return "";
      const entry = getOwnPropertyDescriptor(at, "constructor");
      if (entry && typeof entry.value === "function") return ownName(entry.value);
    }
    return "";
  }

  function errorText(error) {
    const name = toText(error.name), message = toText(error.message);
    return message === "" ? name : name === "" ? message : name + ": " + message;
  }

  function functionTag(value) {
    const name = ownName(value);
    if (slice(functionText(value), 0, 5) === "class") return "[class " + (name || "(anonymous)") + "]";
    return name ? "[Function: " + name + "]" : "[Function (anonymous)]";
  }

  // A collector of entries: it makes the first MAX_ENTRIES and only counts the rest.
  function entries(open, close) {
    let text = open, count = 0;
    return {
      add(make) {
        if (count < MAX_ENTRIES) text += (count === 0 ? "" : ", ") + make();
        count += 1;
      },
      end: (size) => text + ((size ?? count) > MAX_ENTRIES ? ", ... " + ((size ?? count) - MAX_ENTRIES) + " more" : "") + close,
    };
  }

  function property(value, key, level) {
    const entry = getOwnPropertyDescriptor(value, key);
    if (entry === undefined) return "<empty>";
    if (entry.get === undefined && entry.set === undefined) return show(entry.value, level);
    return entry.get === undefined ? "[Setter]" : "[Getter]";
  }

  function keyText(key) {
    if (typeof key === "symbol") return "[" + symbolText(key) + "]";
    return exec(identifier, key) === null ? stringify(key) : key;
  }

  function listText(value, length, level) {
    const list = entries("[", "]");
    for (let i = 0; i < length && i < MAX_ENTRIES; i += 1) list.add(() => property(value, toText(i), level));
    return list.end(length);
  }

  function fieldsText(value, level) {
    const list = entries("{", "}"), keys = ownKeys(value);
    for (let i = 0; i < keys.length; i += 1) {
      const entry = getOwnPropertyDescriptor(value, keys[i]);
      if (entry && entry.enumerable) list.add(() => keyText(keys[i]) + ": " + property(value, keys[i], level));
    }
    return list.end();
  }

  function mapText(value, level) {
    const list = entries("{", "}");
    mapEach(value, (item, key) => list.add(() => show(key, level) + " => " + show(item, level)));
    return "Map(" + mapSize(value) + ") " + list.end();
  }

  function setText(value, level) {
    const list = entries("{", "}");
    setEach(value, (item) => list.add(() => show(item, level)));
    return "Set(" + setSize(value) + ") " + list.end();
  }

  function objectText(value, above) {
    if (value instanceof ErrorBase) return errorText(value);
    if (value instanceof PromiseBase) return "[Promise]";
    if (accepts(dateTime, value)) return is(dateTime(value), NaN) ? "Invalid Date" : dateText(value);
    if (value !== RegExp.prototype && accepts(regexpSource, value)) return "/" + regexpSource(value) + "/" + regexpFlags(value);
    for (let at = above; at !== undefined; at = at.above) if (at.value === value) return "[Circular]";
    const depth = above === undefined ? 1 : above.depth + 1, name = className(value);
    if (depth > MAX_DEPTH) return isArray(value) ? "[Array]" : "[" + (name || "Object") + "]";
    const level = { value, depth, above };
    if (isArray(value)) return (name === "" ? "" : name + "(" + value.length + ") ") + listText(value, value.length, level);
    if (isView(value) && !(value instanceof DataViewBase)) return name + "(" + viewLength(value) + ") " + listText(value, viewLength(value), level);
    if (accepts(mapSize, value)) return mapText(value, level);
    if (accepts(setSize, value)) return setText(value, level);
    return (name === "" ? "" : name + " ") + fieldsText(value, level);
  }

  function show(value, above) {
    if (typeof value === "string") return stringify(value);
    if (typeof value === "bigint") return toText(value) + "n";
    if (typeof value === "symbol") return symbolText(value);
    if (typeof value === "function") return functionTag(value);
    if (typeof value === "object" && value !== null) return objectText(value, above);
    return is(value, -0) ? "-0" : toText(value);
  }

  const plain = (value) => (typeof value === "string" ? value : show(value));

  function log(...args) {
    let line = "";
    for (let i = 0; i < args.length; i += 1) line += (i === 0 ? "" : " ") + plain(args[i]);
    put("0", line + "\n");
  }
  globalThis.console = { log, info: log, warn: log, error: log, debug: log };

  return {
    // Sends the text of a turn's result.
    report(value) { if (value !== undefined) put("1", plain(value)); },
    // Sends the parts of what was thrown.
    describe(thrown) {
      if (!(thrown instanceof ErrorBase)) return put("3", "Uncaught " + show(thrown));
      put("2", toText(thrown.name));
      put("3", toText(thrown.message));
      put("4", toText(thrown.stack));
    },
    // Throws when so many bytes cannot be had.
    probe(bytes) { new Bytes(bytes); },
  };
})`;
