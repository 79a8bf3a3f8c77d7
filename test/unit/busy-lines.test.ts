import { describe, expect, test } from "vitest";

import type { WaitingMode } from "../../src/host/busy-line.ts";
import { BusyLines, LINE_MAX, WAITING_MAX } from "../../src/host/busy-lines.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import type { TurnConsumer, TurnFlow } from "../../src/host/turn-consumer.ts";
import type { Door, TurnDoor } from "../../src/host/turn-door.ts";
import type { TurnStart } from "../../src/host/turn-table.ts";
import { SessionError } from "../../src/protocol/errors.ts";
import type { EventEnvelope } from "../../src/protocol/events.ts";
import type { RunResult } from "../../src/protocol/views.ts";

interface Running {
  readonly start: TurnStart;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Sessions whose turns end when the test says so. */
class Host {
  readonly entry = { id: "s", hasWaiting: false } as SessionEntry;
  readonly ran: string[] = [];
  readonly interrupts: boolean[] = [];
  running: Running | undefined;
  refusal: SessionError | undefined;
  #tickets = 0;

  readonly lines = new BusyLines({
    door: {
      of: (id: string) => this.#door(id),
      interrupt: (_id: string, isUndone: boolean) => this.interrupts.push(isUndone),
    } as unknown as TurnDoor,
    maxPromptBytes: 100,
    find: (id) => (id === "s" ? this.entry : undefined),
  });

  #door(_id: string): Door | undefined {
    if (this.running !== undefined) return undefined;
    if (this.refusal !== undefined) {
      const { refusal } = this;
      this.refusal = undefined;
      throw refusal;
    }
    return (start) => {
      this.ran.push(start.prompt);
      const outcome = new Promise<RunResult>((resolve, reject) => (this.running = { start, resolve, reject }));
      const ticket = ++this.#tickets;
      start.onAdmitted?.(ticket);
      return outcome;
    };
  }

  /** End the running turn; the next one is let in before its caller learns of it. */
  end(error?: SessionError): void {
    const { start, resolve, reject } = this.running as Running;
    this.running = undefined;
    this.lines.look("s");
    if (error === undefined) resolve({ text: start.prompt } as RunResult);
    else reject(error);
  }

  start(mode: WaitingMode, prompt: string, rest: Partial<TurnStart> = {}, onQueued?: (position: number) => void): Promise<string> {
    try {
      return this.lines.start("s", { prompt, ...rest }, { mode, onQueued }).then(({ text }) => text, codeOf);
    } catch (error) {
      return Promise.resolve(codeOf(error));
    }
  }
}

const codeOf = (error: unknown): string =>
  error instanceof SessionError ? (error.agentError?.kind ?? error.code) : String(error instanceof Error ? error.message : error);
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("BusyLines", () => {
  test("Z1: a line is there while somebody waits, and its session knows", async () => {
    const host = new Host();
    const first = host.start("enqueue", "1");
    expect([host.lines.size, host.lines.waiting, host.entry.hasWaiting]).toEqual([0, 0, false]);
    const second = host.start("enqueue", "2");
    expect([host.lines.size, host.lines.waiting, host.entry.hasWaiting]).toEqual([1, 1, true]);
    const woken = { id: "s", hasWaiting: false } as SessionEntry;
    host.lines.live(woken);
    expect(woken.hasWaiting).toBe(true);
    host.end();
    expect([host.lines.size, host.lines.waiting, host.entry.hasWaiting]).toEqual([0, 0, false]);
    host.end();
    expect(await Promise.all([first, second])).toEqual(["1", "2"]);
  });

  test("Z2: the next is admitted in the instant a turn ends, ahead of whoever holds its result", async () => {
    const host = new Host();
    const order: string[] = [];
    void host.start("enqueue", "1").then(() => order.push("answered"));
    void host.start("enqueue", "2", { onAdmitted: () => void order.push("admitted") });
    host.end();
    expect(order).toEqual(["admitted"]);
    await soon();
    expect(order).toEqual(["admitted", "answered"]);
  });

  test("Z2: what is refused when its turn has come gets that, and the next one is tried", async () => {
    const host = new Host();
    const calls = ["1", "2", "3"].map((prompt) => host.start("enqueue", prompt));
    host.refusal = new SessionError("HOST_OVERLOADED", "behind");
    host.end();
    expect(host.ran).toEqual(["1", "3"]);
    host.end();
    expect(await Promise.all(calls)).toEqual(["1", "HOST_OVERLOADED", "3"]);
  });

  test("Z2: a look in the middle of something waits until that is over", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    void host.start("enqueue", "2");
    host.running = undefined;
    host.lines.lookSoon("s");
    host.lines.lookSoon("other");
    expect(host.ran).toEqual(["1"]);
    await soon();
    expect(host.ran).toEqual(["1", "2"]);
  });

  test("positions are told when they change, and a turn that has not to wait is told none", async () => {
    const host = new Host();
    const told: string[] = [];
    const start = (mode: WaitingMode, name: string): Promise<string> =>
      host.start(mode, name, {}, (position) => void told.push(`${name}${position}`));
    void start("enqueue", "a");
    void start("enqueue", "b");
    void start("enqueue", "c");
    expect(told).toEqual(["b1", "c2"]);
    void start("interrupt", "d");
    expect(told.splice(0)).toEqual(["b1", "c2", "d1", "b2", "c3"]);
    host.end();
    expect(told).toEqual(["b1", "c2"]);
  });

  test("Y1: what interrupts asks for it once it has its place; rollback says so", () => {
    const host = new Host();
    void host.start("interrupt", "1");
    expect(host.interrupts).toEqual([]);
    void host.start("interrupt", "2");
    void host.start("rollback", "3");
    void host.start("enqueue", "4");
    expect(host.interrupts).toEqual([false, true]);
    for (let turn = 0; turn < 3; turn++) host.end();
    expect(host.ran).toEqual(["1", "3", "2", "4"]);
  });

  test("Y2, Z3: whose place is taken learns of it", async () => {
    const host = new Host();
    const calls = ["1", "2", "3"].map((prompt) => host.start("latest", prompt));
    expect(host.lines.waiting).toBe(1);
    expect(await calls[1]).toBe("superseded");
    host.end();
    host.end();
    expect(await Promise.all(calls)).toEqual(["1", "superseded", "3"]);
  });

  test("Z3: a callback that throws takes its caller out of the line, and nobody is interrupted for it", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const throwAt = (at: number) => (position: number) => {
      if (position === at) throw new Error(`not ${at}`);
    };
    expect(await host.start("interrupt", "2", {}, throwAt(1))).toBe("not 1");
    expect(host.interrupts).toEqual([]);
    expect([host.lines.size, host.entry.hasWaiting]).toEqual([0, false]);
    const third = host.start("enqueue", "3");
    const fourth = host.start("enqueue", "4", {}, throwAt(1));
    const fifth = host.start("enqueue", "5");
    host.end();
    expect(await fourth).toBe("not 1");
    host.end();
    host.end();
    expect(await Promise.all([third, fifth])).toEqual(["3", "5"]);
  });

  test("Z3: an onAdmitted that throws is its own caller's affair", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const onAdmitted = (): never => {
      host.running = undefined; // as a wake-up does: the turn is taken off it
      throw new Error("not today");
    };
    const second = host.start("enqueue", "2", { onAdmitted });
    const third = host.start("enqueue", "3");
    host.end();
    host.end();
    expect(await Promise.all([second, third])).toEqual(["not today", "3"]);
  });

  test("Z3: a signal ends the wait, once", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const abort = new AbortController();
    const second = host.start("enqueue", "2", { signal: abort.signal });
    const third = host.start("merge", "3", { signal: abort.signal });
    const fourth = host.start("merge", "4");
    abort.abort(new Error("gave up"));
    expect(await Promise.all([second, third])).toEqual(["gave up", "gave up"]);
    expect(host.lines.waiting).toBe(1);
    host.end();
    host.end();
    expect(await fourth).toBe("4");
    expect(host.ran).toEqual(["1", "4"]);
  });

  test("callbacks may start turns, give up and end turns: each call settles once", async () => {
    const host = new Host();
    const abort = new AbortController();
    const calls: Promise<string>[] = [];
    void host.start("enqueue", "1");
    calls.push(
      host.start("enqueue", "2", { onAdmitted: () => void calls.push(host.start("interrupt", "2a")) }, (position) => {
        if (position === 1) calls.push(host.start("enqueue", "2b", {}, (mine) => void (mine === 1 && abort.abort(new Error("gave up")))));
      }),
      host.start("enqueue", "3", { signal: abort.signal }),
    );
    while (host.running !== undefined) host.end();
    const answers = await Promise.all(calls);
    expect(answers.toSorted()).toEqual(["2", "2a", "2b", "gave up"]);
    expect(host.ran).toEqual(["1", "2", "2a", "2b"]);
    expect([host.lines.size, host.lines.waiting]).toEqual([0, 0]);
  });

  test("Z4: a line is bounded, and one that takes another's place adds nothing", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    void host.start("latest", "2");
    for (let waiting = 1; waiting < LINE_MAX; waiting++) void host.start("enqueue", "x");
    expect(host.lines.waiting).toBe(LINE_MAX);
    expect(() => host.lines.start("s", { prompt: "y" }, { mode: "interrupt" })).toThrow(
      expect.objectContaining({ code: "HOST_OVERLOADED", details: { reason: "busy_line", limit: LINE_MAX, retryAfterMs: 100 } }),
    );
    expect(host.interrupts).toEqual([]);
    void host.start("latest", "3");
    expect(host.lines.waiting).toBe(LINE_MAX);
  });

  test("Z4: all lines together are bounded", () => {
    const host = new Host();
    void host.start("enqueue", "1");
    for (let waiting = 0; waiting < WAITING_MAX; waiting++) {
      void host.lines.start(`s${Math.floor(waiting / LINE_MAX)}`, { prompt: "x" }, { mode: "enqueue" }).catch(() => {});
    }
    expect(() => host.lines.start("s", { prompt: "y" }, { mode: "enqueue" })).toThrow(expect.objectContaining({ code: "HOST_OVERLOADED" }));
    host.lines.close();
    expect([host.lines.waiting, host.lines.size]).toEqual([0, 0]);
  });

  test("Z3: the end of the host is everybody's end", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const calls = [host.start("enqueue", "2"), host.start("merge", "3"), host.start("merge", "4")];
    host.lines.close();
    expect(await Promise.all(calls)).toEqual(Array(3).fill("HOST_CLOSED"));
    expect([host.lines.waiting, host.lines.size, host.entry.hasWaiting]).toEqual([0, 0, false]);
  });
});

/** Takes events when it is told to. */
class Consumer implements TurnConsumer {
  readonly got: number[] = [];
  end: { error: unknown } | undefined;
  flow!: TurnFlow;
  through: Promise<void> | undefined;
  attach(flow: TurnFlow): void {
    this.flow = flow;
  }
  push({ seq }: EventEnvelope): void {
    this.got.push(seq);
  }
  finish(error: unknown): Promise<void> | undefined {
    this.end = { error };
    return this.through;
  }
}

describe("merged turns", () => {
  const event = (seq: number): EventEnvelope => ({ seq }) as EventEnvelope;

  test("G1: prompts are joined, every caller has the ticket and a result of his own", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const tickets: number[] = [];
    const results = ["a", "b", "c"].map((prompt) =>
      host.lines.start("s", { prompt, onAdmitted: (ticket) => void tickets.push(ticket) }, { mode: "merge" }),
    );
    host.end();
    host.end();
    const given = await Promise.all(results);
    expect(host.ran).toEqual(["1", "a\n\nb\n\nc"]);
    expect(given).toEqual(Array(3).fill({ text: "a\n\nb\n\nc" }));
    expect(new Set(given).size).toBe(3);
    expect(tickets).toEqual([2, 2, 2]);
  });

  test("Y3: what differs, is too long, or is one caller's own has a place of its own", () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const rests: [string, Partial<TurnStart>][] = [
      ["a", {}],
      ["b", { hostMode: false }],
      ["c", { timeoutMs: 5 }],
      ["d", { timeoutMs: 5 }],
      ["e", { timeoutMs: 6 }],
      ["f", { extras: { overlay: { allowedTools: ["x"] } } }],
      ["g", { extras: { overlay: { allowedTools: ["x"] } } }],
      ["h", { extras: { idempotencyKey: "k" } }],
      ["i", { extras: { idempotencyKey: "k" } }],
      ["j", { extras: { executionKind: "resume_pending" } }],
      ["k", { extras: { executionKind: "resume_pending" } }],
      ["l", { onBoundary: () => {} }],
      ["m", { onBoundary: () => {} }],
      ["ä".repeat(24), {}],
      ["n".repeat(50), {}],
      ["o", {}],
    ];
    for (const [prompt, rest] of rests) void host.start("merge", prompt, rest);
    while (host.running !== undefined) host.end();
    const long = ["ä".repeat(24) + "\n\n" + "n".repeat(50), "o"];
    expect(host.ran).toEqual(["1", "a\n\nb", "c\n\nd", "e", "f\n\ng", "h", "i", "j", "k", "l", "m", ...long]);
  });

  test("G2: one who gives up is answered, and the turn goes on; the last one's signal interrupts it", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const aborts = [new AbortController(), new AbortController()];
    const calls = aborts.map(({ signal }) => host.start("merge", "x", { signal }));
    host.end();
    const turn = host.running as Running;
    aborts[0]?.abort();
    expect(await calls[0]).toBe("cancelled");
    expect(turn.start.signal?.aborted).toBe(false);
    aborts[1]?.abort();
    expect(turn.start.signal?.aborted).toBe(true);
    host.end(new SessionError("AGENT_ERROR", "m", { agentError: { kind: "cancelled", message: "m" } }));
    expect(await calls[1]).toBe("cancelled");
  });

  test("G2: one whose onAdmitted throws is out, the others are not; with the last one the turn is interrupted", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const throws = { onAdmitted: (): never => { throw new Error("mine"); } }; // prettier-ignore
    const some = [host.start("merge", "a", throws), host.start("merge", "b")];
    host.end();
    expect(host.running?.start.signal?.aborted).toBe(false);
    host.end();
    expect(await Promise.all(some)).toEqual(["mine", "a\n\nb"]);
    void host.start("enqueue", "2");
    const all = [host.start("merge", "a", throws), host.start("merge", "b", throws)];
    host.end();
    expect(host.running?.start.signal?.aborted).toBe(true);
    expect(await Promise.all(all)).toEqual(["mine", "mine"]);
  });

  test("E1, E2: everyone has every event, the slowest sets the pace, and who has left is not waited for", async () => {
    const host = new Host();
    void host.start("enqueue", "1");
    const [fast, slow, gone] = [new Consumer(), new Consumer(), new Consumer()];
    const abort = new AbortController();
    const calls = [
      host.start("merge", "a", { consumer: fast }),
      host.start("merge", "b", { consumer: slow }),
      host.start("merge", "c", { consumer: gone, signal: abort.signal }),
      host.start("merge", "d"),
    ];
    host.end();
    const consumer = host.running?.start.consumer as TurnConsumer;
    let [taken, detached] = [0, 0];
    consumer.attach({ taken: () => taken++, detach: () => detached++ });
    consumer.push(event(1));
    consumer.push(event(2));
    fast.flow.taken();
    fast.flow.taken();
    slow.flow.taken();
    expect(taken).toBe(0);
    abort.abort();
    expect(await calls[2]).toBe("cancelled");
    expect([taken, gone.end !== undefined]).toEqual([1, true]);
    slow.flow.detach();
    expect([taken, detached]).toEqual([2, 0]);
    consumer.push(event(3));
    expect([fast.got, slow.got, gone.got]).toEqual([
      [1, 2, 3],
      [1, 2],
      [1, 2],
    ]);
    let isThrough = false;
    fast.through = soon().then(() => void (isThrough = true));
    await consumer.finish(undefined, false);
    expect([isThrough, slow.end]).toEqual([true, undefined]);
    fast.flow.detach();
    expect(detached).toBe(1);
    consumer.push(event(4));
    expect(taken).toBe(4);
  });
});
