/** A host whose lane does not keep up, over lanes in this thread: who is refused, who is not, and that commands keep their order. */
import { describe, expect, test, vi } from "vitest";

import { MAILBOX_MAX } from "../../src/core/mailbox.ts";
import { BYTES_MAX } from "../../src/host/lane-backlog.ts";
import { QUERIES_MAX } from "../../src/host/session-queries.ts";
import { deferred, inThreadHosts } from "./support/in-thread-hosts.ts";
import { threads } from "./support/in-thread-lanes.ts";

vi.mock("../../src/host/lane-thread.ts", async () => ({ startLaneThread: (await import("./support/in-thread-lanes.ts")).startFakeThread }));

const newHost = inThreadHosts();
const MIB = 1024 * 1024;
/** In prompts of a megabyte, so many that one lane is behind, and more. */
const SESSIONS = BYTES_MAX / MIB + 8;
const prompt = "x".repeat(MIB);
const reasonOf = (error: unknown): unknown => {
  const { code, details } = error as { code?: string; details?: { reason?: string } };
  return details?.reason ?? code;
};
const outcomeOf = (call: Promise<unknown>): Promise<unknown> => call.then(() => "ok", reasonOf);
const turns = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};

describe("load-gate", () => {
  test("G1: a lane that is behind refuses what is new, runs all it was given, and takes new work when it has caught up", async () => {
    const ran: string[] = [];
    const service = await newHost(({ labels }) => {
      ran.push(labels["n"] as string);
      return "";
    });
    const ids: string[] = [];
    for (let n = 0; n < SESSIONS; n++) {
      ids.push((await service.createSession({ prompt: "", initialTurn: "defer", labels: { n: String(n) } })).sessionId);
    }
    // In one go: the lane takes nothing before it is over.
    const outcomes = ids.map((id) => outcomeOf(service.startTurn(id, { prompt })));
    const refusals = [
      service.createSession({ prompt: "" }),
      service.exportSession(ids[0] as string),
      service.readHistory(ids[0] as string),
      service.appendSystemContext(ids[0] as string, { text: "x" }),
    ].map(outcomeOf);
    const told = await Promise.all(outcomes);
    expect(await Promise.all(refusals)).toEqual(Array(4).fill("lane_behind"));
    const accepted = told.flatMap((outcome, n) => (outcome === "ok" ? [String(n)] : []));
    expect(new Set(told)).toEqual(new Set(["ok", "lane_behind"]));
    expect(ran.sort()).toEqual(accepted.sort());
    expect(ran.length).toBeGreaterThan(SESSIONS / 2);
    expect((await service.list()).filter(({ isActive }) => isActive)).toEqual([]); // a refusal took no lock
    expect(await Promise.all(ids.slice(0, 20).map((id) => outcomeOf(service.startTurn(id, { prompt: "" }))))).toEqual(Array(20).fill("ok"));
    expect(service.inspect()).toMatchObject({ turns: { running: 0 }, lanes: [{ queuedRecords: 0, queuedBytes: 0 }] });
  });

  test("G2: interrupts, goodbyes, reads and lists do not care", async () => {
    const service = await newHost(
      ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(""), { once: true })),
    );
    const ids: string[] = [];
    for (let n = 0; n < SESSIONS; n++) ids.push(await deferred(service));
    const outcomes = ids.map((id) => outcomeOf(service.startTurn(id, { prompt })));
    const [first, second, third] = ids as [string, string, string];
    await service.interrupt(first);
    await service.archive(second);
    await service.discardLiveSession(third);
    expect((await service.read(first)).state.isActive).toBe(true);
    expect((await service.list()).length).toBe(SESSIONS - 2);
    expect(await outcomes[0]).toBe("interrupt");
    expect(await outcomes.at(-1)).toBe("lane_behind");
    for (const id of ids) await service.interrupt(id).catch(() => {});
    await Promise.all(ids.map((id) => service.discardLiveSession(id).catch(() => {})));
  });

  test("G3: another lane's sessions do not notice, and new sessions go there", async () => {
    const service = await newHost(() => "", { lanes: { count: 2 } });
    const ids: string[] = [];
    for (let n = 0; n < 2 * SESSIONS; n++) ids.push(await deferred(service));
    const [mine, others] = [0, 1].map((lane) => ids.filter((_, n) => n % 2 === lane)) as [string[], string[]];
    const flood = mine.map((id) => outcomeOf(service.startTurn(id, { prompt })));
    const quiet = others.map((id) => outcomeOf(service.startTurn(id, { prompt: "" })));
    const created = Array.from({ length: 6 }, () => outcomeOf(service.createSession({ prompt: "" })));
    expect(service.inspect().lanes.map(({ sessions }) => sessions)).toEqual([SESSIONS, SESSIONS + 6]);
    expect(new Set(await Promise.all(flood))).toEqual(new Set(["ok", "lane_behind"]));
    expect(new Set(await Promise.all([...quiet, ...created]))).toEqual(new Set(["ok"]));
  });
});

describe("session-queries", () => {
  test("M1: commands keep their order, however many wait, and the mailbox is never fuller than it may be", async () => {
    const service = await newHost(({ messages }) => String(messages.length));
    const id = await deferred(service);
    const gateTurn = service.startTurn(id, { prompt: "first" });
    const order: string[] = [];
    const note = (name: string, call: Promise<unknown>): Promise<void> =>
      call.then(
        () => void order.push(name),
        (error: unknown) => void order.push(`${name}: ${String(error)}`),
      );
    const first = Array.from({ length: 3 * MAILBOX_MAX }, (_, n) =>
      note(`a${n}`, service.applyRuntimeSystemContext(id, [{ text: `a${n}` }])),
    );
    await gateTurn;
    const turn = note("turn", service.startTurn(id, { prompt: "second" }));
    const second = Array.from({ length: 3 * MAILBOX_MAX }, (_, n) => note(`b${n}`, service.readHistory(id)));
    await Promise.all([...first, turn, ...second]);
    expect(order).toEqual([...first.map((_, n) => `a${n}`), "turn", ...second.map((_, n) => `b${n}`)]);
    expect(service.inspect().lanes[0]?.strayErrors).toBe(0); // an overflow is reported as one
    const { messages } = await service.exportSession(id);
    expect(JSON.stringify(messages[0])).toContain(`a${3 * MAILBOX_MAX - 1}`);
  });

  test("M1: a session that is archived answers what it was asked before, and then leaves", async () => {
    const service = await newHost(() => "");
    const id = await deferred(service);
    const queries = Array.from({ length: 5 * MAILBOX_MAX }, () => outcomeOf(service.exportSession(id)));
    const turn = outcomeOf(service.startTurn(id, { prompt: "behind them" }));
    await service.archive(id);
    expect(new Set(await Promise.all([...queries, turn]))).toEqual(new Set(["ok"]));
    await turns(20);
    expect(service.inspect().slots.allocated).toBe(0);
  });

  test("M1: a turn that waits behind queries can be interrupted", async () => {
    let entered = 0;
    const service = await newHost(() => String(++entered));
    const id = await deferred(service);
    const queries = Array.from({ length: 5 * MAILBOX_MAX }, () => outcomeOf(service.exportSession(id)));
    const turn = outcomeOf(service.startTurn(id, { prompt: "" }));
    await service.interrupt(id);
    expect([await turn, entered]).toEqual(["interrupt", 0]);
    expect(new Set(await Promise.all(queries))).toEqual(new Set(["ok"]));
  });

  test("M2, M3: of too many queries the next is refused, all others settle, also when the lane is lost under them", async () => {
    const service = await newHost(() => "");
    const id = await deferred(service);
    const queries = Array.from({ length: QUERIES_MAX }, () => outcomeOf(service.exportSession(id)));
    expect(await outcomeOf(service.exportSession(id))).toBe("queries");
    expect(new Set(await Promise.all(queries))).toEqual(new Set(["ok"]));
    const lost = Array.from({ length: QUERIES_MAX }, () => outcomeOf(service.exportSession(id)));
    const turn = outcomeOf(service.startTurn(id, { prompt: "" }));
    await threads[0]?.crash();
    const outcomes = await Promise.all([...lost, turn]);
    expect(outcomes.at(-1)).toBe("AGENT_ERROR");
    expect(outcomes.filter((outcome) => outcome !== "ok" && outcome !== "AGENT_ERROR")).toEqual([]);
  });
});

describe("host-lane", () => {
  test("interrupts asked again and again leave one record for a lane that does not take them", async () => {
    const service = await newHost(
      ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(""), { once: true })),
    );
    const id = await deferred(service);
    const turn = outcomeOf(service.startTurn(id, { prompt: "" }));
    await turns(5);
    const before = service.inspect().lanes[0]?.sentRecords as number;
    for (let n = 0; n < 1000; n++) service.interrupt(id).catch(() => {});
    expect(await turn).toBe("interrupt");
    expect((service.inspect().lanes[0]?.sentRecords as number) - before).toBeLessThan(5);
  });

  test("however the interrupts fall, every one is heard", async () => {
    const service = await newHost(
      ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(""), { once: true })),
    );
    const ids = await Promise.all(Array.from({ length: 30 }, () => deferred(service)));
    const outcomes = ids.map((id) => outcomeOf(service.startTurn(id, { prompt: "" })));
    for (const [n, id] of ids.entries()) {
      await turns(n % 3);
      await service.interrupt(id);
    }
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["interrupt"]));
  });
});
