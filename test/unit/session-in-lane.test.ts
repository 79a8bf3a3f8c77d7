/** A session and its turns in a lane of this thread: A1–A3, R1–R3. */
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";

import { STATE, STATE_IDLE, STATE_RUNNING } from "../../src/core/slot-layout.ts";
import { readSummary } from "../../src/core/slot-summary.ts";
import { lockHolder, requestInterrupt } from "../../src/core/turn-lock.ts";
import { AgentError } from "../../src/lane/agent-errors.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type {
  AgentBuildContext,
  SessionAgent,
  SessionAgentBuilder,
  SimpleAgentDefinition,
  TurnContext,
  TurnFunction,
} from "../../src/protocol/agent.ts";
import type { LaneReport } from "../../src/protocol/frames.ts";
import { COMMANDS, REPORTS } from "../../src/protocol/frames.ts";
import { decodeValue } from "../../src/transport/codec.ts";
import { EVENT_WINDOW } from "../../src/transport/credits.ts";
import { OneLane } from "./support/one-lane.ts";

const lanes: OneLane[] = [];
function newLane(agent: SessionAgentBuilder | SimpleAgentDefinition | TurnFunction, interruptGraceMs?: number): OneLane {
  const lane = new OneLane(agent, interruptGraceMs);
  lanes.push(lane);
  return lane;
}
afterEach(() => Promise.all(lanes.splice(0).map((lane) => lane.close())));

/** A simple agent with some members replaced. */
function altered(turn: TurnFunction, changes: (agent: SessionAgent) => Partial<SessionAgent>): SessionAgentBuilder {
  const builder = defineAgent(turn);
  return {
    buildAgent: async (request, context) => {
      const agent = await builder.buildAgent(request, context);
      return Object.assign(agent, changes(agent));
    },
  };
}
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const stateOf = ({ table }: OneLane, slot: number): number => Atomics.load(table.words(slot), table.base(slot) + STATE);

describe("session-actor", () => {
  test("A1, T1: turns, exports and context writes that come at once run one after the other, in order", async () => {
    const log: string[] = [];
    let entered = 0;
    const enter = (what: string): void => {
      expect(++entered).toBe(1);
      log.push(what);
    };
    const lane = newLane(
      altered(
        async ({ prompt }) => {
          enter(prompt);
          await nextTurn();
          entered--;
          return "";
        },
        (agent) => {
          const clone = agent.sessionClone.bind(agent);
          return {
            sessionClone: () => {
              enter("clone");
              entered--;
              return clone();
            },
          };
        },
      ),
    );
    const slot = await lane.create();
    const first = lane.admit(slot, "one");
    lane.send(first.command, [COMMANDS.EXPORT.op, slot, 1, 1], [COMMANDS.HISTORY.op, slot, 1, 2, 0, undefined]);
    await lane.outcome(first.word);
    const second = lane.admit(slot, "two");
    lane.send(second.command, [COMMANDS.EXPORT.op, slot, 1, 3]);
    await lane.until(() => lane.reports.filter(([op]) => op === REPORTS.REPLY.op).length === 3);
    expect(log).toEqual(["one", "clone", "clone", "two", "clone"]);
  });

  test("A2: handles are taken once, before the first command", async () => {
    const log: string[] = [];
    const lane = newLane(
      altered(
        () => (log.push("turn"), ""),
        () => ({ eventInjector: () => (log.push("taken"), { inject: () => "ok" as const }) }),
      ),
    );
    const slot = await lane.create();
    await lane.outcome(lane.start(slot));
    await lane.outcome(lane.start(slot));
    expect(log).toEqual(["taken", "turn", "turn"]);
  });

  test("R5: the key of an earlier good turn gives its result again, or is refused, and the agent is not entered", async () => {
    const entered: string[] = [];
    const lane = newLane(({ prompt }) => {
      entered.push(prompt);
      if (prompt === "bad") throw new AgentError("no", "no");
      return `${prompt} ${entered.length}`;
    });
    const slot = await lane.create();
    const ask = (prompt: string, idempotencyKey?: string): Promise<string> => {
      const { word, command } = lane.admit(slot, prompt, 0, idempotencyKey === undefined ? undefined : { idempotencyKey });
      lane.send(command);
      return lane.outcome(word);
    };
    expect(await ask("bad", "k1")).toBe("no");
    expect(await ask("a", "k1")).toBe("a 2"); // a failed turn has no result to give
    expect(await ask("a", "k1")).toBe("a 2");
    expect(await ask("bad", "k2")).toBe("no");
    expect(await ask("b")).toBe("b 4");
    expect(await ask("c", "k3")).toBe("c 5");
    expect(await ask("a", "k1")).toBe("a 2");
    expect(await ask("c", "k1")).toBe("IDEMPOTENCY_CONFLICT");
    expect(await ask("c", "k3")).toBe("c 5");
    expect(entered).toEqual(["bad", "a", "bad", "b", "c"]);
    expect([readSummary(lane.table, slot).messageCount, lockHolder(lane.table, slot), stateOf(lane, slot)]).toEqual([6, 0, STATE_IDLE]);
  });

  test("R5: asked for among the last good turn only, a key is that one's, whatever it asked for, and remembered no longer", async () => {
    let turns = 0;
    const lane = newLane(({ prompt }) => `${prompt} ${++turns}`);
    const slot = await lane.create();
    const ask = (prompt: string, isLastTurnOnly?: true): Promise<string> => {
      const { word, command } = lane.admit(slot, prompt, 0, { idempotencyKey: "k", isLastTurnOnly });
      lane.send(command);
      return lane.outcome(word);
    };
    expect([await ask("a", true), await ask("b", true), await ask("b")]).toEqual(["a 1", "a 1", "a 1"]);
    await lane.outcome(lane.start(slot, "other"));
    expect([await ask("b"), await ask("a")]).toEqual(["b 3", "IDEMPOTENCY_CONFLICT"]);
    await lane.outcome(lane.start(slot, "other"));
    expect([await ask("a", true), await ask("b")]).toEqual(["a 5", "b 3"]);
  });

  test("R5, T2: an interrupt that comes first cancels the turn that would have been answered", async () => {
    const lane = newLane(() => "a");
    const slot = await lane.create();
    const first = lane.admit(slot, "q", 0, { idempotencyKey: "k" });
    lane.send(first.command);
    await lane.outcome(first.word);
    const again = lane.admit(slot, "q", 0, { idempotencyKey: "k" });
    requestInterrupt(lane.table, slot);
    lane.send(again.command);
    expect(await lane.outcome(again.word)).toBe("cancelled");
  });

  test.each<[string, string, TurnFunction]>([
    [
      "throws",
      "internal_error",
      () => {
        throw new Error("boom");
      },
    ],
    ["rejects with a kind of its own", "budget", () => Promise.reject(new AgentError("budget", "spent"))],
    ["gives rubbish", "invalid_result", () => 42 as never],
    [
      "emits rubbish",
      "invalid_event",
      ({ emit }) => {
        void emit({ type: "" });
        return "";
      },
    ],
    [
      "emits rubbish and swallows the exception",
      "invalid_event",
      ({ emit }) => {
        try {
          void emit({ type: "text_delta" });
        } catch {
          // an agent that knows better
        }
        return "fine";
      },
    ],
  ])("A3: an agent that %s fails its own turn, and the next one runs", async (_, kind, turn) => {
    let isGood = false;
    const lane = newLane((context) => (isGood ? "good" : turn(context)));
    const slot = await lane.create();
    expect(await lane.outcome(lane.start(slot))).toBe(kind);
    expect(readSummary(lane.table, slot).messageCount).toBe(0);
    isGood = true;
    expect(await lane.outcome(lane.start(slot))).toBe("good");
  });

  /** An agent whose first run ignores its interrupt; `canBuild` says whether one can be built, `log` what was built and disposed of. */
  function givenUp(canBuild: (count: number) => boolean): { lane: OneLane; log: string[]; giveUp: (slot: number) => Promise<void> } {
    const log: string[] = [];
    let builds = 0;
    let isIgnoring = false;
    const lane = newLane(
      {
        setup: () => {
          builds++;
          if (!canBuild(builds)) throw new Error(`build ${builds} fails`);
          log.push(`built ${builds}`);
          return builds;
        },
        turn: async ({ prompt, messages, takeSystemPrompt }) => {
          isIgnoring = prompt === "ignore";
          if (isIgnoring) await new Promise(() => {});
          const said = messages.filter(({ role }) => role === "user").map((message) => ("content" in message ? message.content : ""));
          return `${said.join(" ")}|${takeSystemPrompt().includes("staged") ? "staged" : ""}`;
        },
        dispose: (build) => void log.push(`disposed ${String(build)}`),
      },
      5,
    );
    const giveUp = async (slot: number): Promise<void> => {
      const ignoring = lane.start(slot, "ignore");
      await lane.until(() => isIgnoring);
      lane.interrupt(slot);
      expect(await lane.outcome(ignoring)).toBe("cancelled");
    };
    return { lane, log, giveUp };
  }
  const reply = async (lane: OneLane, request: number): Promise<unknown> => {
    const find = (): LaneReport | undefined =>
      lane.reports.find(([op, number]) => (op === REPORTS.REPLY.op || op === REPORTS.REPLY_ERROR.op) && number === request);
    await lane.until(() => find() !== undefined);
    return find()?.[2];
  };

  test("A5: a session whose agent could not be rebuilt tries again at its next turn, from its last boundary, with what was staged", async () => {
    const { lane, log, giveUp } = givenUp((count) => count !== 2 && count !== 3);
    const slot = await lane.create();
    await lane.outcome(lane.start(slot, "one"));
    await giveUp(slot);
    lane.send([COMMANDS.STAGE_CONTEXT.op, slot, 1, { text: "staged", acceptedAt: 1 }]);
    expect(await lane.outcome(lane.start(slot, "two"))).toBe("internal_error");
    expect(await lane.outcome(lane.start(slot, "three"))).toBe("one three|staged");
    expect(await lane.outcome(lane.start(slot, "four"))).toBe("one three four|");
    expect(log).toEqual(["built 1", "disposed 1", "built 4"]);
  });

  test("A5: without an agent a session is exported, read, forked and moved as it was at its boundary, and what needs the agent fails typed", async () => {
    const { lane, log, giveUp } = givenUp((count) => count === 1);
    const slot = await lane.create();
    await lane.outcome(lane.start(slot, "one"));
    await giveUp(slot);
    lane.send(
      [COMMANDS.EXPORT.op, slot, 1, 1],
      [COMMANDS.HISTORY.op, slot, 1, 2, 0, undefined],
      [COMMANDS.APPLY_CONTEXT.op, slot, 1, 3, [{ text: "applied", acceptedAt: 1 }]],
      [COMMANDS.MOVE_OUT.op, slot, 1, 4],
      [COMMANDS.FORK.op, slot, 1, 5, 1],
    );
    expect(await reply(lane, 1)).toMatchObject({ messages: [{ content: "one" }, { content: "one|" }] });
    expect(await reply(lane, 2)).toMatchObject({ messageCount: 2 });
    expect(await reply(lane, 3)).toMatchObject({
      code: "AGENT_ERROR",
      message: expect.stringMatching(/could not be rebuilt: .*build 3 fails/),
    });
    expect(decodeValue((await reply(lane, 4)) as Uint8Array)).toMatchObject({
      session: { messages: [{ content: "one" }, { content: "one|" }] },
    });
    expect(await reply(lane, 5)).toMatchObject({ messageCount: 2, session: { messages: [{ content: "one" }] } });
    lane.send([COMMANDS.FORGET.op, slot, 1]);
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.FORGOTTEN.op));
    expect(log).toEqual(["built 1", "disposed 1"]);
  });

  test("A5: what the agent that was given up does later is not the session's, also when there is no other", async () => {
    let goOn: ((text: string) => void) | undefined;
    let builds = 0;
    const cleared: unknown[] = [];
    const builder = altered(
      ({ prompt }) => (prompt === "ignore" ? new Promise<string>((resolve) => (goOn = resolve)) : prompt),
      () => ({
        setFlowToolOverlay: (overlay) => void cleared.push(overlay),
      }),
    );
    const lane = newLane(
      {
        buildAgent: (request, context) => {
          if (++builds > 1) throw new Error("not now");
          return builder.buildAgent(request, context);
        },
      },
      5,
    );
    const slot = await lane.create();
    await lane.outcome(lane.start(slot, "one"));
    const ignoring = lane.start(slot, "ignore");
    await lane.until(() => goOn !== undefined);
    lane.interrupt(slot);
    expect(await lane.outcome(ignoring)).toBe("cancelled");
    const before = readSummary(lane.table, slot);
    goOn?.("said too late");
    await nextTurn();
    cleared.length = 0;
    const refused = lane.start(slot, "two");
    expect(await lane.outcome(refused)).toBe("internal_error");
    expect(readSummary(lane.table, slot)).toEqual(before);
    expect(cleared).toEqual([]);
    const report = lane.reports.find(([op, , , word]) => op === REPORTS.FAILED.op && word === refused);
    expect(report?.[5]).toBeUndefined();
  });

  test("A5: an agent that was built too badly to serve emits into nothing and takes nothing", async () => {
    const contexts: AgentBuildContext[] = [];
    let isIgnoring = false;
    const builder = altered(
      async ({ prompt, takeSystemPrompt }) => {
        isIgnoring = prompt === "ignore";
        return isIgnoring ? new Promise<string>(() => {}) : takeSystemPrompt();
      },
      () => (contexts.length === 2 ? { eventInjector: () => { throw new Error("no handles"); } } : {}), // prettier-ignore
    );
    const lane = newLane({ buildAgent: (request, context) => (contexts.push(context), builder.buildAgent(request, context)) }, 5);
    const slot = await lane.create();
    const ignoring = lane.start(slot, "ignore");
    await lane.until(() => isIgnoring);
    lane.interrupt(slot);
    await lane.outcome(ignoring);
    lane.send([COMMANDS.STAGE_CONTEXT.op, slot, 1, { text: "staged", acceptedAt: 1 }]);
    await nextTurn();
    await nextTurn();
    const bad = contexts[1] as AgentBuildContext;
    void bad.emit({ type: "text_delta", delta: "nobody asked" });
    expect(bad.systemContext.takePending()).toEqual([]);
    const good = lane.start(slot, "good");
    expect(await lane.outcome(good)).toContain("staged");
    expect(lane.events(good)).toEqual([]);
  });

  test("A5: a turn whose interrupt comes while the agent is rebuilt for it does not run", async () => {
    let build: (() => void) | undefined;
    let builds = 0;
    let isIgnoring = false;
    const lane = newLane(
      {
        setup: async () => {
          if (++builds === 2) throw new Error("not now");
          if (builds === 3) await new Promise<void>((resolve) => (build = resolve));
          return undefined;
        },
        turn: async ({ prompt }) => {
          isIgnoring = prompt === "ignore";
          return isIgnoring ? new Promise<never>(() => {}) : prompt;
        },
      },
      5,
    );
    const slot = await lane.create();
    const ignoring = lane.start(slot, "ignore");
    await lane.until(() => isIgnoring);
    lane.interrupt(slot);
    await lane.outcome(ignoring);
    const waiting = lane.start(slot, "waits");
    await lane.until(() => build !== undefined);
    expect(lane.interrupt(slot)).toBe("asked");
    build?.();
    expect(await lane.outcome(waiting)).toBe("cancelled");
    expect(await lane.outcome(lane.start(slot, "after"))).toBe("after");
  });

  test("A3: an export that fails answers its caller with the error, and harms nobody else", async () => {
    let isBroken = true;
    const lane = newLane(
      altered(
        () => "a",
        (agent) => {
          const clone = agent.sessionClone.bind(agent);
          return {
            sessionClone: () => {
              if (isBroken) throw new Error("boom");
              return clone();
            },
          };
        },
      ),
    );
    const slot = await lane.create();
    lane.send([COMMANDS.EXPORT.op, slot, 1, 1]);
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.REPLY_ERROR.op));
    isBroken = false;
    lane.send([COMMANDS.EXPORT.op, slot, 1, 2]);
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.REPLY.op));
    expect(lane.reports.slice(-2)).toMatchObject([
      [REPORTS.REPLY_ERROR.op, 1, { code: "AGENT_ERROR" }],
      [REPORTS.REPLY.op, 2, { id: "s0" }],
    ]);
  });
});

describe("turn-run", () => {
  test("R1: when the report is read, summary, state and lock say that the turn is over; its events came before", async () => {
    const lane = newLane(async ({ emit }) => {
      await emit({ type: "x", n: 1 });
      await nextTurn();
      expect([stateOf(lane, slot), lockHolder(lane.table, slot) > 0]).toEqual([STATE_RUNNING, true]);
      void emit({ type: "x", n: 2 });
      return { text: "a", usage: { inputTokens: 3 } };
    });
    const slot = await lane.create();
    const seen: unknown[] = [];
    lane.onReport = ([op]) => {
      if (op !== REPORTS.RESULT.op) return;
      seen.push(lockHolder(lane.table, slot), stateOf(lane, slot), readSummary(lane.table, slot).messageCount);
    };
    const word = lane.start(slot);
    expect(await lane.outcome(word)).toBe("a");
    expect(seen).toEqual([0, STATE_IDLE, 2]);
    expect(lane.said(word)).toEqual([REPORTS.EVENT.op, REPORTS.EVENT.op, REPORTS.RESULT.op]);
  });

  test("R1: events that wait for credit when the run ends go before the report", async () => {
    const count = EVENT_WINDOW + 20;
    const lane = newLane(({ emit }) => {
      for (let n = 0; n < count; n++) void emit({ type: "x", n });
      return "a";
    });
    const slot = await lane.create();
    const word = lane.start(slot);
    await lane.until(() => lane.events(word).length === EVENT_WINDOW);
    expect(lockHolder(lane.table, slot)).toBeGreaterThan(0);
    lane.send([COMMANDS.CREDIT.op, slot, 1, word, 20]);
    expect(await lane.outcome(word)).toBe("a");
    expect(lane.events(word).map(([seq]) => seq)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    expect(lane.said(word).at(-1)).toBe(REPORTS.RESULT.op);
  });

  test("X1: bare text deltas cross as rows of texts, any other event whole; all are numbered in one sequence", async () => {
    vi.spyOn(Date, "now").mockReturnValue(1_700_000_000_000); // rows end with their millisecond
    onTestFinished(() => void vi.restoreAllMocks());
    const delta = { type: "text_delta", delta: "d" };
    const others = [{ ...delta, index: 1 }, { type: "reasoning_delta", delta: "d" }, { type: "mine" }];
    const lane = newLane(({ emit }) => {
      for (const event of [delta, delta, ...others, delta]) void emit(event);
      return "a";
    });
    const slot = await lane.create();
    const word = lane.start(slot);
    expect(await lane.outcome(word)).toBe("a");
    const events = lane.reports.filter((report) => report[0] === REPORTS.DELTAS.op || report[0] === REPORTS.EVENT.op);
    expect(events.map((report) => [report[0], report[4], report[6]])).toEqual([
      [REPORTS.DELTAS.op, 1, ["d", "d"]],
      ...others.map((event, index) => [REPORTS.EVENT.op, index + 3, event]),
      [REPORTS.DELTAS.op, 6, ["d"]],
    ]);
  });

  test("R2: interrupted before it started, the agent is not called", async () => {
    let calls = 0;
    const lane = newLane(() => String(++calls));
    const slot = await lane.create();
    const { word, command } = lane.admit(slot);
    expect(requestInterrupt(lane.table, slot)).toBe("asked");
    lane.send(command);
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(calls).toBe(0);
    expect(lockHolder(lane.table, slot)).toBe(0);
  });

  test("R2: interrupted while it runs, the signal aborts, the poll is true, and the transcript is taken back", async () => {
    const lane = newLane(
      ({ signal, isInterrupted }) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(`${isInterrupted()}`), { once: true })),
    );
    const slot = await lane.create();
    const word = lane.start(slot);
    await lane.until(() => stateOf(lane, slot) === STATE_RUNNING);
    expect(lane.interrupt(slot)).toBe("asked");
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(readSummary(lane.table, slot).messageCount).toBe(0);
  });

  test("R2: a synchronous loop sees it by polling, and finishing after it still means cancelled", async () => {
    const lane = newLane(({ isInterrupted }) => {
      requestInterrupt(lane.table, slot);
      return isInterrupted() ? "saw it" : "missed it";
    });
    const slot = await lane.create();
    expect(await lane.outcome(lane.start(slot))).toBe("cancelled");
  });

  test("R2: interrupted while an emit waits for the consumer, the emit rejects and what did not leave is dropped", async () => {
    let thrown: unknown;
    const lane = newLane(async ({ emit }) => {
      try {
        for (let n = 0; ; n++) await emit({ type: "x", n });
      } catch (error) {
        thrown = error;
        throw error;
      }
    });
    const slot = await lane.create();
    const word = lane.start(slot);
    await lane.until(() => lane.events(word).length === EVENT_WINDOW);
    lane.interrupt(slot);
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(thrown).toMatchObject({ name: "TurnInterrupted" });
    expect(lane.events(word)).toHaveLength(EVENT_WINDOW);
  });

  test("R2: interrupted while the events of a finished run wait, the turn is cancelled", async () => {
    const lane = newLane(({ emit }) => {
      for (let n = 0; n < EVENT_WINDOW + 1; n++) void emit({ type: "x", n });
      return "a";
    });
    const slot = await lane.create();
    const word = lane.start(slot);
    await lane.until(() => lane.events(word).length === EVENT_WINDOW);
    lane.interrupt(slot);
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(readSummary(lane.table, slot).messageCount).toBe(0);
  });

  test("R2: after the report an interrupt finds nothing, and the next turn does not see it", async () => {
    const lane = newLane(({ isInterrupted }) => String(isInterrupted()));
    const slot = await lane.create();
    expect(await lane.outcome(lane.start(slot))).toBe("false");
    expect(lane.interrupt(slot)).toBe("not_running");
    expect(await lane.outcome(lane.start(slot))).toBe("false");
  });

  test("R3: a run that ignores its interrupt for the grace is given up; what it does later reaches nobody", async () => {
    let past: TurnContext | undefined;
    let finish: ((text: string) => void) | undefined;
    const lane = newLane((turn) => {
      if (turn.prompt !== "stubborn") return "next";
      past = turn;
      return new Promise<string>((resolve) => (finish = resolve));
    }, 1);
    const slot = await lane.create();
    const word = lane.start(slot, "stubborn");
    await lane.until(() => past !== undefined);
    lane.interrupt(slot);
    expect(await lane.outcome(word)).toBe("cancelled");
    past?.append({ role: "user", content: "late" });
    void past?.emit({ type: "late" });
    finish?.("late");
    await nextTurn();
    const next = lane.start(slot, "go on");
    expect(await lane.outcome(next)).toBe("next");
    expect(lane.said(word)).toEqual([REPORTS.GAVE_UP.op, REPORTS.FAILED.op]);
    expect(lane.events(next)).toEqual([]);
    expect(readSummary(lane.table, slot).messageCount).toBe(2);
  });
});
