/** What code in a lane may still do to built-ins, and what not: in a thread of its own, for there is no way back. */
import { Worker } from "node:worker_threads";

import { expect, test } from "vitest";

import { deferred, errorOf, hosts, settled } from "../helpers/hosts.ts";

const MODULE = new URL("../../dist/src/lane/fixed-builtins.js", import.meta.url);

const openHost = hosts();
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

test("an agent that changes one fails by itself; where the operator leaves them open it may", async () => {
  const fixed = await openHost({ agent: PATCHING });
  const error = await errorOf(fixed.startTurn(await deferred(fixed), { prompt: "x" }));
  expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error" } });
  expect(error.message).toContain("read only");
  const open = await openHost({ agent: PATCHING, lanes: { count: 1, builtins: "open" } });
  expect((await open.startTurn(await deferred(open), { prompt: "x" })).text).toBe("changed");
});
