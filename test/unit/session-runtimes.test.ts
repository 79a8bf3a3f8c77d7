/** Runtimes of sessions over a service whose turns the test ends. */
import { describe, expect, test } from "vitest";

import { SessionError } from "../../src/protocol/errors.ts";
import type { AcceptedInput } from "../../src/protocol/stored-runtime.ts";
import type { RuntimeInput } from "../../src/protocol/runtime-input.ts";
import type { MachineSessionControlAuthority } from "../../src/runtime/machine-authority.ts";
import type { InputTicket } from "../../src/runtime/runtime-adapter.ts";
import {
  ALL_INPUTS_MAX,
  ALL_INPUT_BYTES_MAX,
  INPUTS_MAX,
  INPUT_BYTES_MAX,
  InputQueue,
  InputTotals,
} from "../../src/runtime/input-queue.ts";
import { SessionRuntimes } from "../../src/runtime/session-runtimes.ts";
import { FakeRows, FakeRuntimeHost } from "./support/fake-runtime-host.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A runtime of session "a", attached unless told otherwise. */
async function runtimeOf({ rows, attached = true }: { rows?: FakeRows; attached?: boolean } = {}) {
  const host = new FakeRuntimeHost();
  const adapter = new SessionRuntimes(host, rows);
  await adapter.register("a");
  if (attached) await adapter.attach("a");
  const accept = (prompt: string, more: Partial<RuntimeInput> = {}): Promise<InputTicket> => adapter.acceptInput("a", { prompt, ...more });
  return { host, adapter, accept };
}
const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "ok",
    (error: SessionError) =>
      error.agentError === undefined ? error.code : `${error.agentError.kind} ${String(error.details?.["reason"])}`,
  );

describe("registering", () => {
  test("a session that is not there has no runtime, and none is left behind", async () => {
    const { adapter } = await runtimeOf();
    expect(await codeOf(adapter.register("nobody"))).toBe("SESSION_NOT_FOUND");
    expect([adapter.state("nobody"), adapter.list().length]).toEqual([undefined, 1]);
    expect(await codeOf(adapter.attach("nobody"))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(adapter.acceptInput("b", { prompt: "p" }))).toBe("SESSION_NOT_FOUND");
  });

  test("again, and at once, is Ok and changes nothing", async () => {
    const host = new FakeRuntimeHost();
    const adapter = new SessionRuntimes(host);
    const both = [adapter.register("a"), adapter.register("a")];
    expect(adapter.state("a")).toBe("initializing");
    await Promise.all(both);
    await adapter.attach("a");
    await adapter.register("a");
    expect(adapter.state("a")).toBe("attached");
  });

  test("unregister forgets, abandons what is queued, and waits for what runs", async () => {
    const { host, adapter, accept } = await runtimeOf();
    const [runs, waits] = [await accept("1"), await accept("2")];
    await turn();
    const left = adapter.unregister("a");
    expect(await codeOf(accept("3"))).toBe("SESSION_NOT_RUNNING");
    expect(await codeOf(waits.outcome)).toBe("cancelled unregistered");
    expect(adapter.state("a")).toBe("running");
    const again = adapter.register("a");
    host.running[0]?.end();
    expect(await left).toEqual({ abandoned: 1 });
    expect(await codeOf(runs.outcome)).toBe("ok");
    await again;
    expect(adapter.state("a")).toBe("idle");
    await adapter.unregister("a");
    expect([await adapter.unregister("a"), adapter.state("a")]).toEqual([{ abandoned: 0 }, undefined]);
  });
});

describe("inputs", () => {
  test("R1: one runs at a time, in the order of the calls; positions and receipts say so", async () => {
    const { host, adapter, accept } = await runtimeOf({ attached: false });
    const tickets = await Promise.all(["1", "2", "3"].map((prompt) => accept(prompt, { inputId: `i${prompt}`, boundary: "immediate" })));
    expect(tickets.map(({ inputId, position }) => [inputId, position])).toEqual([
      ["i1", 0],
      ["i2", 1],
      ["i3", 2],
    ]);
    await turn();
    expect([adapter.state("a"), host.begun]).toEqual(["idle", []]);
    await adapter.attach("a");
    for (const [index, ticket] of tickets.entries()) {
      await turn();
      expect([adapter.state("a"), host.running.length, host.begun.length]).toEqual(["running", 1, index + 1]);
      host.running[0]?.end();
      expect((await ticket.outcome).receipt).toMatchObject({
        contributingInputIds: [ticket.inputId],
        runId: ticket.runId,
        boundary: "immediate",
      });
    }
    expect([adapter.state("a"), host.begun]).toEqual(["attached", ["1", "2", "3"]]);
  });

  test("the request has the input's id as its key, and an execution kind", async () => {
    const { host, accept } = await runtimeOf();
    await accept("p", { inputId: "i", executionKind: "resume_pending", timeoutMs: 5 });
    await accept("q");
    await turn();
    expect(host.running[0]?.input.request).toEqual({ prompt: "p", executionKind: "resume_pending", timeoutMs: 5, idempotencyKey: "i" });
    host.running[0]?.end();
    await turn();
    expect(host.running[0]?.input.request).toMatchObject({ prompt: "q", executionKind: "content_turn" });
  });

  test("an id that waits or runs gives that very input; afterwards it is a new one", async () => {
    const { host, accept } = await runtimeOf();
    const first = await accept("1", { inputId: "i" });
    await accept("2", { inputId: "j" });
    const [again, second] = [await accept("other", { inputId: "i" }), await accept("other", { inputId: "j" })];
    expect([again.outcome === first.outcome, again.runId === first.runId, again.position, second.position]).toEqual([true, true, 0, 1]);
    await turn();
    host.running[0]?.end();
    await first.outcome;
    expect((await accept("1", { inputId: "i" })).outcome).not.toBe(first.outcome);
  });

  test("bad ones are refused before anything is queued", async () => {
    const { adapter, accept } = await runtimeOf();
    expect(await codeOf(accept("bad"))).toBe("INVALID_PARAMS");
    expect(await codeOf(accept("p", { boundary: "never" as never }))).toBe("INVALID_PARAMS");
    expect(await codeOf(accept("p", { onEvent: () => {} } as never))).toBe("INVALID_PARAMS");
    expect(await codeOf(accept("p", { inputId: "" }))).toBe("INVALID_PARAMS");
    expect(adapter.list()).toEqual([{ id: "a", state: "attached", inputs: 0 }]);
  });

  test("R3: a busy session is waited for without asking it again, and the input keeps its place", async () => {
    const { host, adapter, accept } = await runtimeOf();
    host.busy.set("a", []);
    const [first] = [await accept("1"), await accept("2")];
    for (let i = 0; i < 5; i++) await turn();
    expect([host.idleAsked, host.begun, adapter.state("a")]).toEqual([1, [], "attached"]);
    host.free("a");
    await turn();
    expect([host.begun, adapter.state("a")]).toEqual([["1"], "running"]);
    host.running[0]?.end();
    await first.outcome;
    await turn();
    expect(host.begun).toEqual(["1", "2"]);
  });

  test("X3: a failing input settles alone, also when its executor throws at once", async () => {
    const { host, adapter, accept } = await runtimeOf();
    host.refuse = ({ request }) => (request.prompt === "1" ? new SessionError("AGENT_ERROR", "no") : undefined);
    const [first, second] = [await accept("1"), await accept("2")];
    expect(await codeOf(first.outcome)).toBe("AGENT_ERROR");
    await turn();
    host.running[0]?.end();
    expect(await codeOf(second.outcome)).toBe("ok");
    await adapter.attach("a", () => {
      throw new Error("mine");
    });
    await expect((await accept("3")).outcome).rejects.toThrow("mine");
    expect(adapter.state("a")).toBe("attached");
  });

  test("X3: what an overloaded host refuses is tried three times", async () => {
    const { host, accept } = await runtimeOf();
    let asked = 0;
    host.refuse = () => {
      asked++;
      return new SessionError("HOST_OVERLOADED", "full", { details: { retryAfterMs: 1 } });
    };
    const ticket = await accept("1");
    expect([await codeOf(ticket.outcome), asked]).toEqual(["HOST_OVERLOADED", 3]);
    asked = 0;
    host.refuse = () => (++asked < 3 ? new SessionError("HOST_OVERLOADED", "full", { details: { retryAfterMs: 1 } }) : undefined);
    const second = await accept("2");
    while (host.running.length === 0) await turn();
    host.running[0]?.end();
    expect(await codeOf(second.outcome)).toBe("ok");
  });

  test("a session that turns out to be gone ends its runtime", async () => {
    const { host, adapter, accept } = await runtimeOf();
    host.refuse = () => new SessionError("SESSION_NOT_FOUND", "gone", { sessionId: "a" });
    const tickets = await Promise.all([accept("1"), accept("2")]);
    expect(await Promise.all(tickets.map(({ outcome }) => codeOf(outcome)))).toEqual(["SESSION_NOT_FOUND", "SESSION_NOT_FOUND"]);
    await turn();
    expect(adapter.state("a")).toBe("destroyed");
    await adapter.register("a");
    expect(adapter.state("a")).toBe("idle");
  });

  test("outcomes that nobody awaits are no unhandled rejections", async () => {
    const seen: unknown[] = [];
    const see = (error: unknown): void => void seen.push(error);
    process.on("unhandledRejection", see);
    const { host, adapter, accept } = await runtimeOf();
    host.refuse = () => new Error("no");
    await accept("1");
    await accept("2");
    await adapter.stop("a");
    for (let i = 0; i < 5; i++) await turn();
    process.off("unhandledRejection", see);
    expect(seen).toEqual([]);
  });

  test("detach lets inputs wait, and waits for the one that runs", async () => {
    const { host, adapter, accept } = await runtimeOf();
    await accept("1");
    await accept("2");
    await turn();
    const detached = adapter.detach("a");
    await turn();
    expect(adapter.state("a")).toBe("running");
    host.running[0]?.end();
    await detached;
    await turn();
    expect([adapter.state("a"), host.begun]).toEqual(["idle", ["1"]]);
    await adapter.detach("a");
    await adapter.attach("a");
    await turn();
    expect(host.begun).toEqual(["1", "2"]);
  });
});

describe("bounds", () => {
  test("inputs of a session: the next is refused, and served when there is room again", async () => {
    const { adapter, accept } = await runtimeOf({ attached: false });
    for (let n = 0; n < INPUTS_MAX; n++) void accept(`${n}`);
    await expect(accept("one more")).rejects.toMatchObject({
      code: "HOST_OVERLOADED",
      details: { reason: "inputs", limit: INPUTS_MAX, retryAfterMs: 100 },
    });
    expect(await adapter.reset("a")).toEqual({ abandoned: INPUTS_MAX });
    expect(await codeOf(accept("again"))).toBe("ok");
  });

  test("bytes of a session, but for an input that is alone", async () => {
    const { accept } = await runtimeOf({ attached: false });
    await accept("é".repeat(INPUT_BYTES_MAX));
    await expect(accept("one more")).rejects.toMatchObject({ code: "HOST_OVERLOADED", details: { reason: "input_bytes" } });
  });

  test("inputs and bytes of all sessions", () => {
    const totals = new InputTotals();
    const queue = new InputQueue("a", totals);
    const input: AcceptedInput = { inputId: "i", runId: "r", boundary: "immediate", request: { prompt: "p" } };
    const reasonOf = (add: () => unknown): unknown => {
      try {
        return add() && "ok";
      } catch (error) {
        return (error as SessionError).details?.["reason"];
      }
    };
    totals.count = ALL_INPUTS_MAX;
    expect(reasonOf(() => queue.add(input))).toBe("all_inputs");
    totals.count = 1;
    totals.bytes = ALL_INPUT_BYTES_MAX;
    expect(reasonOf(() => queue.add(input))).toBe("all_input_bytes");
    totals.count = totals.bytes = 0;
    const queued = queue.add(input);
    expect([totals.count, totals.bytes]).toEqual([1, queued.bytes]);
    expect([queue.take(queued), queue.take(queued), totals.count, totals.bytes]).toEqual([true, false, 0, 0]);
  });

  test("runtimes of ended sessions: the oldest are forgotten", async () => {
    const host = new FakeRuntimeHost();
    const adapter = new SessionRuntimes(host);
    for (let n = 0; n < 10_001; n++) {
      host.sessions.add(`s${n}`);
      await adapter.register(`s${n}`);
      await adapter.sessionEnded(`s${n}`, "retire");
    }
    expect([adapter.list().length, adapter.state("s0"), adapter.state("s1")]).toEqual([10_000, undefined, "retired"]);
  });
});

describe("ends", () => {
  test("R2: retire takes no more and lets what is queued run; it is Ok again", async () => {
    const { host, adapter, accept } = await runtimeOf();
    const tickets = [await accept("1"), await accept("2")];
    const retired = adapter.retire("a");
    expect(await codeOf(accept("3"))).toBe("SESSION_NOT_RUNNING");
    for (let n = 0; n < 2; n++) {
      await turn();
      host.running[0]?.end();
    }
    expect([await retired, adapter.state("a")]).toEqual([{ abandoned: 0, drained: 2 }, "retired"]);
    expect(await Promise.all(tickets.map(({ outcome }) => codeOf(outcome)))).toEqual(["ok", "ok"]);
    expect(await adapter.retire("a")).toEqual({ abandoned: 0, drained: 0 });
    expect(await codeOf(accept("3"))).toBe("SESSION_NOT_RUNNING");
    expect(await codeOf(adapter.attach("a"))).toBe("SESSION_NOT_RUNNING");
  });

  test("retire without an executor abandons; with one, what has not run in time", async () => {
    const idle = await runtimeOf({ attached: false });
    const waits = await idle.accept("1");
    expect(await idle.adapter.retire("a")).toEqual({ abandoned: 1, drained: 0 });
    expect(await codeOf(waits.outcome)).toBe("cancelled retired");

    const { host, adapter, accept } = await runtimeOf();
    const tickets = [await accept("1"), await accept("2")];
    await turn();
    expect(await adapter.retire("a", { deadlineMs: 5 })).toEqual({ abandoned: 1, drained: 1 });
    expect(await Promise.all(tickets.map(({ outcome }) => codeOf(outcome)))).toEqual(["AGENT_ERROR", "cancelled retired"]);
    expect(host.running).toEqual([]);
  });

  test("R4: stop interrupts what runs and abandons the rest; register and reset revive", async () => {
    const { adapter, accept } = await runtimeOf();
    const tickets = [await accept("1"), await accept("2"), await accept("3")];
    await turn();
    expect(await adapter.stop("a")).toEqual({ abandoned: 2 });
    expect([adapter.state("a"), await codeOf(tickets[0]!.outcome), await codeOf(tickets[1]!.outcome)]).toEqual([
      "stopped",
      "AGENT_ERROR",
      "cancelled stopped",
    ]);
    expect(await adapter.stop("a")).toEqual({ abandoned: 0 });
    await adapter.register("a");
    expect(adapter.state("a")).toBe("idle");
    await adapter.stop("a");
    await adapter.reset("a");
    expect([adapter.state("a"), await codeOf(accept("4"))]).toEqual(["idle", "ok"]);
  });

  test("stop ends an input's wait for its session", async () => {
    const { host, adapter, accept } = await runtimeOf();
    host.busy.set("a", []);
    const ticket = await accept("1");
    await turn();
    expect(await adapter.stop("a")).toEqual({ abandoned: 1 });
    expect(await codeOf(ticket.outcome)).toBe("cancelled stopped");
  });

  test("stop ends a retire that waits", async () => {
    const { host, adapter, accept } = await runtimeOf();
    await accept("1");
    await accept("2");
    await turn();
    const retired = adapter.retire("a");
    await adapter.stop("a");
    await retired;
    expect([adapter.state("a"), host.running, host.begun]).toEqual(["retired", [], ["1"]]);
  });

  test("reset abandons what is queued and lets run what runs", async () => {
    const { host, adapter, accept } = await runtimeOf();
    const [first, second] = [await accept("1"), await accept("2")];
    await turn();
    expect(await adapter.reset("a")).toEqual({ abandoned: 1 });
    expect([adapter.state("a"), await codeOf(second.outcome)]).toEqual(["running", "cancelled reset"]);
    host.running[0]?.end();
    expect(await codeOf(first.outcome)).toBe("ok");
    await adapter.retire("a");
    await adapter.reset("a");
    expect(adapter.state("a")).toBe("idle");
  });

  test("R4: destroyed is the end, but for a new runtime", async () => {
    const { adapter, accept } = await runtimeOf();
    await adapter.destroy("a");
    expect([adapter.state("a"), await codeOf(accept("1")), await codeOf(adapter.reset("a"))]).toEqual([
      "destroyed",
      "SESSION_NOT_RUNNING",
      "SESSION_NOT_RUNNING",
    ]);
    await adapter.register("a");
    expect([adapter.state("a"), await codeOf(accept("1"))]).toEqual(["idle", "ok"]);
  });

  test("a session that ends: what is queued is not found, what runs goes on", async () => {
    const { host, adapter, accept } = await runtimeOf();
    const [first, second] = [await accept("1"), await accept("2")];
    await turn();
    await adapter.sessionEnded("a", "retire");
    expect([await codeOf(second.outcome), adapter.state("a")]).toEqual(["SESSION_NOT_FOUND", "running"]);
    host.running[0]?.end();
    expect(await codeOf(first.outcome)).toBe("ok");
    await turn();
    expect(adapter.state("a")).toBe("retired");
  });

  test("close settles everything: what is queued at once, what runs when it has run", async () => {
    const { host, adapter, accept } = await runtimeOf();
    const [first, second] = [await accept("1"), await accept("2")];
    await turn();
    const closed = adapter.close();
    expect(await codeOf(second.outcome)).toBe("HOST_CLOSED");
    host.running[0]?.end();
    await closed;
    expect(await codeOf(first.outcome)).toBe("ok");
    for (const call of [accept("3"), adapter.register("b"), adapter.retire("a"), adapter.unregister("a"), adapter.attach("a")])
      expect(await codeOf(call)).toBe("HOST_CLOSED");
    expect(adapter.close()).toBe(closed);
  });
});

describe("before an archive", () => {
  test("the runtime is retired, and comes back to where it was, with its inputs", async () => {
    const { host, adapter, accept } = await runtimeOf({ attached: false });
    const ticket = await accept("1");
    const rollBack = await adapter.retireForArchive("a");
    expect(adapter.state("a")).toBe("retired");
    await rollBack();
    expect(adapter.state("a")).toBe("idle");
    await adapter.attach("a");
    await turn();
    host.running[0]?.end();
    expect(await codeOf(ticket.outcome)).toBe("ok");
    await (
      await adapter.retireForArchive("a")
    )();
    expect([adapter.state("a"), await codeOf(accept("2"))]).toEqual(["attached", "ok"]);
    await turn();
    expect(host.begun).toEqual(["1", "2"]);
  });

  test("one that was stopped, retired or never registered comes back to that", async () => {
    const { adapter } = await runtimeOf();
    await adapter.stop("a");
    await (
      await adapter.retireForArchive("a")
    )();
    expect(adapter.state("a")).toBe("stopped");
    await adapter.retire("a");
    await (
      await adapter.retireForArchive("a")
    )();
    expect(adapter.state("a")).toBe("retired");
    const rollBack = await adapter.retireForArchive("b");
    expect(adapter.state("b")).toBe("retired");
    await rollBack();
    expect(adapter.state("b")).toBeUndefined();
  });

  test("a failure says whether it was registered for it, and leaves it as it was", async () => {
    const rows = new FakeRows();
    const { host, adapter, accept } = await runtimeOf({ rows });
    rows.failing.add("put");
    await expect(adapter.retireForArchive("a")).rejects.toMatchObject({
      agentError: { kind: "internal_error", message: "machine archive retire failed: put fails" },
    });
    await expect(adapter.retireForArchive("b")).rejects.toMatchObject({
      agentError: { kind: "internal_error", message: "machine archive retire failed after registration: put fails" },
    });
    expect([adapter.state("a"), adapter.state("b")]).toEqual(["attached", undefined]);
    await accept("1");
    await turn();
    expect(host.begun).toEqual(["1"]);
  });
});

describe("with rows in a store", () => {
  const inputsOf = (rows: FakeRows): string[] | undefined => rows.rows.get("a")?.inputs.map(({ inputId }) => inputId);

  test("an input is there before it is accepted, and gone before its outcome is told", async () => {
    const rows = new FakeRows();
    const { host, accept } = await runtimeOf({ rows });
    const ticket = await accept("1", { inputId: "i1" });
    expect(rows.rows.get("a")).toMatchObject({ state: "idle", inputs: [{ inputId: "i1", runId: ticket.runId, request: { prompt: "1" } }] });
    await turn();
    host.running[0]?.end();
    await ticket.outcome;
    expect(rows.journal).toEqual(["put a idle", "addInput i1", "removeInputs i1"]);
  });

  test("one that cannot be written is refused and never runs", async () => {
    const rows = new FakeRows();
    const { host, adapter, accept } = await runtimeOf({ rows });
    rows.failing.add("addInput");
    const refused = [codeOf(accept("1")), codeOf(accept("1", { inputId: "x" }))];
    rows.failing.clear();
    expect(await Promise.all(refused)).toEqual(["SESSION_STORE_ERROR", "SESSION_STORE_ERROR"]);
    await accept("2");
    await turn();
    expect([host.begun, adapter.list()[0]?.inputs]).toEqual([["2"], 1]);
  });

  test("one that was refused although its row may be there is given again with one row only", async () => {
    const rows = new FakeRows();
    const { host, accept } = await runtimeOf({ rows });
    rows.unanswered.add("addInput");
    expect(await codeOf(accept("1", { inputId: "x" }))).toBe("SESSION_STORE_ERROR");
    rows.unanswered.clear();
    const ticket = await accept("1", { inputId: "x" });
    expect(rows.rows.get("a")?.inputs).toHaveLength(1);
    await turn();
    host.running[0]?.end();
    await ticket.outcome;
    expect(rows.rows.get("a")?.inputs).toEqual([]);
  });

  test("X2: while a row cannot be removed no other input begins; the outcome is told all the same", async () => {
    const rows = new FakeRows();
    const { host, accept } = await runtimeOf({ rows });
    const [first, second] = [await accept("1", { inputId: "i1" }), await accept("2", { inputId: "i2" })];
    await turn();
    rows.failing.add("removeInputs");
    host.running[0]?.end();
    expect(await codeOf(first.outcome)).toBe("ok");
    for (let n = 0; n < 5; n++) await turn();
    expect(host.begun).toEqual(["1"]);
    expect(await codeOf(accept("1", { inputId: "i1" }))).toBe("SESSION_STORE_ERROR");
    rows.failing.clear();
    const again = await accept("1", { inputId: "i1" });
    while (host.running.length === 0) await turn();
    expect(inputsOf(rows)).toEqual(["i2", "i1"]);
    for (const ticket of [second, again]) {
      await turn();
      host.running[0]?.end();
      expect(await codeOf(ticket.outcome)).toBe("ok");
    }
    expect([host.begun, inputsOf(rows)]).toEqual([["1", "2", "1"], []]);
  });

  test("Z1: a stop that cannot be written has stopped nothing", async () => {
    const rows = new FakeRows();
    const { host, adapter, accept } = await runtimeOf({ rows });
    await accept("1");
    await accept("2");
    await turn();
    rows.failing.add("put");
    expect(await codeOf(adapter.stop("a"))).toBe("SESSION_STORE_ERROR");
    host.running[0]?.end();
    await turn();
    expect([adapter.state("a"), host.begun]).toEqual(["running", ["1", "2"]]);
  });

  test("X2: what closing abandons or interrupts keeps its row; what it lets end does not", async () => {
    const rows = new FakeRows();
    const { host, adapter, accept } = await runtimeOf({ rows });
    for (const n of [1, 2]) await accept(`${n}`, { inputId: `i${n}` });
    await turn();
    const closed = adapter.close();
    host.running[0]?.end(new SessionError("AGENT_ERROR", "interrupted by the shutdown"));
    await closed;
    expect(inputsOf(rows)).toEqual(["i1", "i2"]);
  });

  test("what is left is taken up: idle until it is attached, in its order, once an id", async () => {
    const before = new FakeRows();
    const first = await runtimeOf({ rows: before });
    for (const n of [1, 2]) await first.accept(`${n}`, { inputId: `i${n}` });
    const host = new FakeRuntimeHost();
    const adapter = new SessionRuntimes(host, before);
    for (const [id, { state, inputs }] of before.rows) adapter.restore({ id, state, inputs });
    expect(adapter.list()).toEqual([{ id: "a", state: "idle", inputs: 2 }]);
    const known = await adapter.acceptInput("a", { prompt: "1", inputId: "i1" });
    expect(known.position).toBe(0);
    await adapter.attach("a");
    for (let n = 0; n < 2; n++) {
      await turn();
      host.running[0]?.end();
    }
    await known.outcome;
    await turn();
    expect([host.begun, inputsOf(before)]).toEqual([["1", "2"], []]);
  });

  test("states rest in it; the end of a session takes its rows along", async () => {
    const rows = new FakeRows();
    const { adapter, accept } = await runtimeOf({ rows, attached: false });
    await accept("1");
    await adapter.stop("a");
    expect(rows.rows.get("a")).toEqual({ state: "stopped", inputs: [] });
    await adapter.reset("a");
    await adapter.retire("a");
    expect(rows.rows.get("a")).toEqual({ state: "retired", inputs: [] });
    await adapter.sessionEnded("a", "retire");
    expect(rows.rows.size).toBe(0);
    const again = new SessionRuntimes(new FakeRuntimeHost(), rows);
    again.restore({ id: "a", state: "stopped", inputs: [] });
    again.restore({ id: "b", state: "retired", inputs: [] });
    expect([again.state("a"), again.state("b")]).toEqual(["stopped", "retired"]);
  });
});

describe("the authority", () => {
  test("F3: each adapter knows its own, and nobody else makes one", async () => {
    const [mine, other] = [new SessionRuntimes(new FakeRuntimeHost()), new SessionRuntimes(new FakeRuntimeHost())];
    const authority = mine.controlAuthority();
    expect([mine.hasMinted(authority), mine.hasMinted(mine.controlAuthority()), other.hasMinted(authority)]).toEqual([true, true, false]);
    const Forger = authority.constructor as new (...args: unknown[]) => MachineSessionControlAuthority;
    expect(() => new Forger()).toThrow(TypeError);
    expect(() => new Forger(Symbol("minting"), mine)).toThrow(TypeError);
    const forged = [
      Object.create(Forger.prototype),
      Object.assign({}, authority),
      new Proxy(authority, {}),
      structuredClone(authority),
      undefined,
      "authority",
    ];
    expect(forged.map((value) => mine.hasMinted(value))).toEqual(forged.map(() => false));
  });
});

describe("what meets", () => {
  /** A store that takes its time. */
  class SlowRows extends FakeRows {
    override async put(id: string, state: "idle" | "retired" | "stopped"): Promise<void> {
      await turn();
      return super.put(id, state);
    }
  }

  test.each(["destroy", "unregister", "archive"] as const)(
    "Z3: a runtime that is being retired leaves no row behind its %s",
    async (way) => {
      const rows = new FakeRows();
      const { host, adapter, accept } = await runtimeOf({ rows });
      await accept("1");
      await turn();
      const retired = adapter.retire("a");
      const gone = way === "archive" ? adapter.sessionEnded("a", "retire") : adapter[way]("a");
      await turn();
      host.running[0]?.end();
      await Promise.all([retired, gone]);
      await turn();
      expect(rows.rows.has("a")).toBe(false);
      expect(rows.journal.at(-1)).toMatch(/^remove/);
    },
  );

  test("a stopped runtime that two revive keeps what came in behind the first", async () => {
    const released: (() => void)[] = [];
    const rows = new FakeRows();
    const { adapter, host, accept } = await runtimeOf({ rows });
    await adapter.stop("a");
    const put = rows.put.bind(rows);
    rows.put = async (id, state) => {
      await new Promise<void>((resolve) => released.push(resolve));
      return put(id, state);
    };
    const revived = [adapter.register("a"), adapter.reset("a")];
    await turn();
    released.shift()?.();
    await revived[0];
    await adapter.attach("a");
    const ticket = await accept("kept");
    for (const release of released) release();
    await Promise.all(revived);
    await turn();
    host.running[0]?.end();
    expect(await codeOf(ticket.outcome)).toBe("ok");
    expect(adapter.state("a")).toBe("attached");
  });

  test("detaching waits for the input that runs, whoever attaches meanwhile", async () => {
    const { adapter, host, accept } = await runtimeOf();
    await accept("1");
    await accept("2");
    await turn();
    const detached = adapter.detach("a");
    await adapter.attach("a");
    host.running[0]?.end();
    await detached;
    await turn();
    expect(host.begun).toEqual(["1", "2"]);
    host.running[0]?.end();
  });

  test.each(["retire", "destroy"] as const)("a session that ends (%s) while its runtime is registered has none", async (event) => {
    const host = new FakeRuntimeHost();
    const rows = new SlowRows();
    const adapter = new SessionRuntimes(host, rows);
    const registered = codeOf(adapter.register("a"));
    await adapter.sessionEnded("a", event);
    expect(await registered).toBe("SESSION_NOT_FOUND");
  });

  test("an executor must be a function", async () => {
    const { adapter } = await runtimeOf({ attached: false });
    expect(await codeOf(adapter.attach("a", null as never))).toBe("INVALID_PARAMS");
    expect(adapter.state("a")).toBe("idle");
  });

  test("inputs that wait for a left row to go stand in the order of their calls", async () => {
    const rows = new FakeRows();
    const { adapter, accept } = await runtimeOf({ rows, attached: false });
    rows.unanswered.add("addInput");
    expect(await codeOf(accept("1", { inputId: "x" }))).toBe("SESSION_STORE_ERROR");
    rows.unanswered.clear();
    await Promise.all(["x", "y", "z"].map((inputId) => accept(inputId, { inputId })));
    expect(rows.rows.get("a")?.inputs.map(({ inputId }) => inputId)).toEqual(["x", "y", "z"]);
    await adapter.destroy("a");
  });
});
