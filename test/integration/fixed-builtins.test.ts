/** What code in a lane may still do to built-ins, and what not: in a thread of its own, for there is no way back. */
import { Worker } from "node:worker_threads";

import { expect, test } from "vitest";

import { deferred, errorOf, hosts, settled } from "../helpers/hosts.ts";

const MODULE = new URL("../../dist/src/lane/fixed-builtins.js", import.meta.url);

const openHost = hosts();
/** What the patching agent changes, besides. */
const SHARED = ["generators", "asyncGenerators", "matches", "targets", "events", "ports", "registries"];
const PATCHING = new URL("../fixtures/patching.mjs", import.meta.url);

/** @returns what `body` posts, run behind `fixBuiltins()` whose guard it sees as `guard` */
async function inThread(body: string): Promise<unknown> {
  const worker = new Worker(
    `"use strict";
    import(${JSON.stringify(MODULE.href)}).then(({ fixBuiltins }) => {
      const guard = fixBuiltins();
      const attempt = (work) => { try { work(); return "done"; } catch (error) { return error.name; } };
      const post = (value) => require("node:worker_threads").parentPort.postMessage(value);
      ${body}
    })`,
    { eval: true },
  );
  try {
    return await settled(new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject)), "the thread");
  } finally {
    await worker.terminate();
  }
}

test("X2: an object of an agent's own may have members of any name", async () => {
  const answers = await inThread(`
    const own = Object.create(Map.prototype);
    class Loud extends Array { push(...items) { return super.push(...items, "!"); } }
    class Later extends Promise { then(...on) { return super.then(...on); } }
    function lodash() {}
    class Failure extends Error { constructor() { super("m"); this.name = "Failure"; this.message = "other"; this.toString = () => "shown"; } }
    const loud = new Loud();
    loud.push(1);
    post([
      attempt(() => { ({}).hasOwnProperty = 1; }),
      attempt(() => { lodash.bind = () => "bound"; lodash.call = 1; }) + lodash.bind(),
      attempt(() => { const list = []; list.push = () => 7; list.extra = 1; if (list.push() !== 7) throw new Error(); }),
      attempt(() => { if (String(new Failure()) !== "shown") throw new Error(); }),
      attempt(() => { new Uint8Array(4).extra = 1; Buffer.alloc(2).toString = () => ""; }),
      [...loud].join(),
      typeof Later.resolve(1).then,
    ]);`);
  expect(answers).toEqual(["done", "donebound", "done", "done", "done", "1,!", "function"]);
});

test("X2: what Node offers works as before, though it is first loaded now", async () => {
  const answers = await inThread(`
    (async () => {
      const seen = {};
      const http = await import("node:http");
      const server = http.createServer((request, response) => response.end("served")).listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const url = "http://127.0.0.1:" + server.address().port;
      seen.fetch = await (await fetch(url, { method: "POST", body: new Blob(["x"]), signal: AbortSignal.timeout(10_000) })).text();
      server.closeAllConnections();
      server.close();
      const { gzipSync, gunzipSync } = await import("node:zlib");
      seen.zlib = gunzipSync(gzipSync("squeezed")).toString();
      const { subtle } = globalThis.crypto;
      seen.crypto = (await subtle.digest("SHA-256", new TextEncoder().encode("x"))).byteLength;
      const { pipeline } = await import("node:stream/promises");
      const { Readable, Transform } = await import("node:stream");
      const chunks = [];
      await pipeline(Readable.from(["a", "b"]), new Transform({ transform(chunk, _, done) { done(null, String(chunk).toUpperCase()); } }),
        async (source) => { for await (const chunk of source) chunks.push(String(chunk)); });
      seen.stream = chunks.join("");
      seen.web = (await new Response(new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("web")); c.close(); } })).text());
      const { AsyncLocalStorage } = await import("node:async_hooks");
      const storage = new AsyncLocalStorage();
      seen.storage = await storage.run(7, async () => { await null; return storage.getStore(); });
      const { EventEmitter, once } = await import("node:events");
      const emitter = new EventEmitter();
      setTimeout(() => emitter.emit("e", 1), 1);
      seen.events = (await once(emitter, "e"))[0];
      const { port1, port2 } = new MessageChannel();
      port2.postMessage(new Map([[1, new Set([2])]]));
      seen.ports = (await new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)))).get(1).has(2);
      port1.close();
      seen.intl = new Intl.NumberFormat("en").format(1234);
      seen.wasm = WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
      seen.vm = (await import("node:vm")).runInNewContext("[1, 2].map((x) => x + 1).join()");
      const { inspect } = await import("node:util");
      seen.inspect = inspect({ a: [new Date(0), /x/] });
      const { execFile } = await import("node:child_process");
      seen.process = await new Promise((resolve) => execFile(process.execPath, ["-p", "6*7"], (_, out) => resolve(out.trim())));
      seen.clone = structuredClone({ at: new Date(0) }).at.getTime();
      const any = AbortSignal.any([AbortSignal.abort("why")]);
      seen.any = any.reason;
      post(seen);
    })().catch((error) => post(String(error && error.stack)));`);
  expect(answers).toEqual({
    fetch: "served",
    zlib: "squeezed",
    crypto: 32,
    stream: "AB",
    web: "web",
    storage: 7,
    events: 1,
    ports: true,
    intl: "1,234",
    wasm: true,
    vm: "2,3",
    inspect: "{ a: [ 1970-01-01T00:00:00.000Z, /x/ ] }",
    process: "42",
    clone: 0,
    any: "why",
  });
});

test("what is shared cannot be changed, by assignment, definition or deletion", async () => {
  const answers = await inThread(`
    post([
      attempt(() => { Map.prototype.get = 1; }),
      attempt(() => { delete Promise.prototype.then; }),
      attempt(() => { Object.defineProperty(Object.prototype, "x", { value: 1 }); }),
      attempt(() => { Object.setPrototypeOf(Array.prototype, {}); }),
      attempt(() => { Array.prototype.added = 1; }),
      attempt(() => { globalThis.setTimeout = 1; }),
      attempt(() => { Function.prototype.call = 1; }),
      attempt(() => { Object.getPrototypeOf([][Symbol.iterator]()).next = 1; }),
      attempt(() => { Object.getPrototypeOf(Uint8Array.prototype).set = 1; }),
      attempt(() => { process.nextTick = 1; performance.now = 1; }),
    ]);`);
  expect(answers).toEqual(Array(10).fill("TypeError"));
});

test("what generators, iterators, signals and their events share cannot be changed, and serves on", async () => {
  const answers = await inThread(`
    const parent = Object.getPrototypeOf;
    const shared = {
      generators: parent(function* () {}).prototype,
      asyncGenerators: parent(async function* () {}).prototype,
      matches: parent("".matchAll(/x/g)),
      targets: EventTarget.prototype,
      events: Event.prototype,
      ports: parent(MessagePort.prototype),
      registries: FinalizationRegistry.prototype,
    };
    const changes = Object.entries(shared).map(([name, prototype]) => {
      const member = Reflect.ownKeys(prototype).find((key) => key !== "constructor" && typeof Reflect.getOwnPropertyDescriptor(prototype, key).value === "function");
      const was = prototype[member];
      const outcomes = [
        attempt(() => { prototype[member] = () => { throw new Error("broken"); }; }),
        attempt(() => { delete prototype[member]; }),
        attempt(() => { prototype.added = 1; }),
        attempt(() => { Object.setPrototypeOf(prototype, {}); }),
        new Function("p", "m", "p[m] = 1; return typeof p[m]")(prototype, member), // not strict
      ];
      return [name, ...new Set(outcomes), prototype[member] === was];
    });
    (async () => {
      function* count() { yield 1; yield 2; }
      async function* later() { yield 3; yield 4; }
      const seen = [...count()];
      for await (const value of later()) seen.push(value);
      for (const [match] of "xyx".matchAll(/x/g)) seen.push(match);
      class Own extends EventTarget { dispatchEvent(event) { seen.push("own"); return super.dispatchEvent(event); } }
      const own = new Own();
      own.addEventListener("e", (event) => seen.push(event.type, event.detail), { once: true });
      own.dispatchEvent(new CustomEvent("e", { detail: 5 }));
      const controller = new AbortController();
      controller.signal.onabort = ({ target }) => seen.push(target === controller.signal);
      controller.abort();
      const { once, setMaxListeners } = await import("node:events");
      setMaxListeners(20, own, controller.signal);
      setTimeout(() => own.dispatchEvent(new Event("once")), 1);
      seen.push((await once(own, "once"))[0] instanceof Event);
      const channel = new BroadcastChannel("c"), other = new BroadcastChannel("c");
      const heard = new Promise((resolve) => (other.onmessage = ({ data }) => resolve(data)));
      channel.postMessage(6);
      seen.push(await heard);
      channel.close();
      other.close();
      const { port1, port2 } = new MessageChannel();
      const message = new Promise((resolve) => port2.once("message", resolve));
      port1.postMessage(7);
      seen.push(await message);
      port1.close();
      const { Worker } = await import("node:worker_threads");
      const worker = new Worker('require("node:worker_threads").parentPort.postMessage(8)', { eval: true });
      seen.push(await new Promise((resolve) => worker.once("message", resolve)));
      new FinalizationRegistry(() => {}).register({}, 1);
      post([changes, seen]);
    })().catch((error) => post(String(error && error.stack)));`);
  expect(answers).toEqual([
    SHARED.map((name) => [name, "TypeError", "function", true]),
    [1, 2, 3, 4, "x", "x", "own", "e", 5, true, "own", true, 6, 7, 8],
  ]);
});

test("X3: a changed method of arrays is seen, named and put right", async () => {
  const answers = await inThread(`
    const before = [guard.isSound(), guard.changed()];
    const { push, flat } = Array.prototype;
    Array.prototype.push = () => { throw new Error("broken"); };
    Array.prototype.flat = () => "lie";
    const broken = [guard.isSound(), guard.changed()];
    post([before, broken, [guard.isSound(), guard.changed()], Array.prototype.push === push && Array.prototype.flat === flat]);`);
  expect(answers).toEqual([[true, undefined], [false, expect.stringMatching(/^Array\.prototype\./)], [true, undefined], true]);
});

test("X2, X3: compiled generators may have what makes them iterable; changed for all, it is seen, named and put right", async () => {
  const answers = await inThread(`
    const parent = Object.getPrototypeOf;
    const iterators = parent(parent([][Symbol.iterator]()));
    const asyncIterators = parent(parent(async function* () {}).prototype);
    // What compilers make of a generator for an older language level.
    const compiled = (prototype, iterable) => {
      const made = Object.create(prototype);
      made.next = () => ({ done: true });
      made[iterable] = function () { return this; };
      return made;
    };
    const own = [
      attempt(() => [...compiled(iterators, Symbol.iterator)]),
      attempt(() => compiled(asyncIterators, Symbol.asyncIterator)),
      guard.changed(),
    ];
    iterators[Symbol.iterator] = () => "lie";
    const first = guard.changed();
    asyncIterators[Symbol.asyncIterator] = () => "lie";
    post([own, first, guard.changed(), guard.changed(), [...new Map([[1, 2]]).keys()], attempt(() => { iterators.added = 1; })]);`);
  expect(answers).toEqual([
    ["done", "done", undefined],
    "Iterator.prototype.Symbol(Symbol.iterator)",
    "AsyncIterator.prototype.Symbol(Symbol.asyncIterator)",
    undefined,
    [1],
    "TypeError",
  ]);
});

test("an agent that changes one fails by itself; where the operator leaves them open it may", async () => {
  const fixed = await openHost({ agent: PATCHING });
  const error = await errorOf(fixed.startTurn(await deferred(fixed), { prompt: "x" }));
  expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error" } });
  expect(error.message).toContain("read only");
  const [id, neighbour] = [await deferred(fixed), await deferred(fixed)];
  for (const shared of SHARED) {
    expect((await errorOf(fixed.startTurn(id, { prompt: shared }))).message).toMatch(/read only/);
    const turn = fixed.startTurn(neighbour, { prompt: "x", timeoutMs: 10_000 }); // with a signal
    expect((await errorOf(turn)).message).toContain("trimStart");
  }
  expect(fixed.inspect()).toMatchObject({ lanesLost: 0 });
  const open = await openHost({ agent: PATCHING, lanes: { count: 1, builtins: "open" } });
  expect((await open.startTurn(await deferred(open), { prompt: "x" })).text).toBe("changed");
});
