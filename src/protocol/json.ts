/**
 * JSON values that come from outside (build options, event payloads, structured output): checked and copied in one walk.
 *
 * A copy is taken so that what crosses a thread is what was checked, whatever its maker does to the original afterwards.
 * What JSON cannot say (functions, dates, cycles, NaN, `__proto__` keys) is refused with the path of the offender.
 */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** Levels of nesting at most; deeper values are taken for cyclic. */
export const JSON_DEPTH_MAX = 100;

/** Where and why a value is not JSON. `path` holds the keys from the root to the offender. */
export class NotJsonError extends Error {
  readonly path: readonly (string | number)[];
  constructor(path: readonly (string | number)[], reason: string) {
    super(reason);
    this.name = "NotJsonError";
    this.path = path;
  }
}

/**
 * Copy a JSON value, refusing everything that is not one. Members that are `undefined` are left out, as JSON does.
 *
 * @throws NotJsonError naming the path of the first offender
 */
export function cloneJson(value: unknown): JsonValue {
  return clone(value, []);
}

function clone(value: unknown, path: (string | number)[]): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value)) return value;
      throw new NotJsonError([...path], `must be a finite number, not ${String(value)}`);
    case "object":
      if (value === null) return null;
      if (path.length >= JSON_DEPTH_MAX) throw new NotJsonError([...path], `nests deeper than ${JSON_DEPTH_MAX} levels or is cyclic`);
      return Array.isArray(value) ? cloneArray(value, path) : cloneObject(value, path);
    case "undefined":
    case "function":
    case "symbol":
    case "bigint":
      throw new NotJsonError([...path], `must be JSON, not ${typeof value}`);
    default:
      throw new NotJsonError([...path], "must be JSON");
  }
}

function cloneArray(value: readonly unknown[], path: (string | number)[]): JsonValue[] {
  const copy: JsonValue[] = [];
  for (let index = 0; index < value.length; index++) {
    path.push(index);
    copy.push(clone(value[index], path));
    path.pop();
  }
  return copy;
}

function cloneObject(value: object, path: (string | number)[]): { [key: string]: JsonValue } {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of another realm has a prototype of its own whose prototype is null.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new NotJsonError([...path], "must be a plain object");
  }
  const copy: { [key: string]: JsonValue } = {};
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue;
    path.push(key);
    if (key === "__proto__") throw new NotJsonError([...path], "must not be a key");
    copy[key] = clone(member, path);
    path.pop();
  }
  return copy;
}

/** Rough size of a JSON value in bytes, and of bytes: what limits on outstanding data count with. Exact for ASCII text, within 3 × otherwise. */
export function approximateBytes(value: unknown): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 8;
  if (ArrayBuffer.isView(value)) return value.byteLength + 5;
  let bytes = 2;
  if (Array.isArray(value)) for (const member of value) bytes += approximateBytes(member) + 1;
  else for (const key in value) bytes += key.length + 3 + approximateBytes((value as Record<string, unknown>)[key]);
  return bytes;
}
