import { afterEach, describe, expect, test } from "vitest";

import { defineAgent } from "../../src/lane/define-agent.ts";
import type { SessionAgentBuilder } from "../../src/protocol/agent.ts";
import { COMMANDS, REPORTS } from "../../src/protocol/frames.ts";
import { StoreError } from "../../src/protocol/store-error.ts";
import { clientOf, JournalStore, NO_USAGE, user, WrittenAgent } from "./support/kept-agent.ts";
import { OneLane } from "./support/one-lane.ts";

/** An agent that echoes, and whose snapshots fail from the one of that number on. */
function failingFrom(number: { at: number }): SessionAgentBuilder {
  const plain = defineAgent(async ({ prompt }) => prompt);
  let snapshots = 0;
  return {
    async buildAgent(request, context) {
      const agent = await plain.buildAgent(request, context);
      const snapshot = agent.snapshot.bind(agent);
      agent.snapshot = () => {
        if (++snapshots >= number.at) throw new Error("no snapshot");
        return snapshot();
      };
      return agent;
    },
  };
}

const lanes: OneLane[] = [];
afterEach(async () => {
  await Promise.all(lanes.splice(0).map((lane) => lane.close()));
});

function laneWith(agent: SessionAgentBuilder, graceMs = 60_000): { lane: OneLane; store: JournalStore } {
  const store = new JournalStore();
  const lane = new OneLane(agent, graceMs, { store: clientOf(store), logsEvents: false, remembersTurns: true });
  lanes.push(lane);
  return { lane, store };
}

describe("a session that is kept, in its lane", () => {
  test("whenever its agent breaks while it is built, a session is built and stored, or neither", async () => {
    for (const at of [1, 2, 3, Infinity]) {
      const { lane, store } = laneWith(failingFrom({ at }));
      await lane.create();
      const isBuilt = lane.reports[0]?.[0] === REPORTS.BUILT.op;
      expect([at, isBuilt]).toEqual([at, (await store.list({})).length === 1]);
    }
  });

  test("whenever its agent breaks, a turn is reported as done and is stored, or neither", async () => {
    const outcomes: string[] = [];
    for (let from = 0; from < 4; from++) {
      const number = { at: Infinity };
      const { lane, store } = laneWith(failingFrom(number));
      const slot = await lane.create();
      await lane.outcome(lane.start(slot, "1"));
      const before = (await store.head("s0"))?.logLength;
      let asked = 0;
      Object.defineProperty(number, "at", { get: () => (asked++ >= from ? 0 : Infinity) });
      const outcome = await lane.outcome(lane.start(slot, "2"));
      outcomes.push(outcome);
      expect([from, outcome === "2"]).toEqual([from, (await store.head("s0"))?.logLength === (before ?? 0) + 2]);
    }
    expect(outcomes).toEqual(["internal_error", "2", "2", "2"]);
  });

  describe("R5: turns that its store remembers", () => {
    const ask = (lane: OneLane, slot: number, prompt: string, idempotencyKey: string): { word: number; outcome: Promise<string> } => {
      const { word, command } = lane.admit(slot, prompt, 0, { idempotencyKey });
      lane.send(command);
      return { word, outcome: lane.outcome(word) };
    };
    const echo = (entered: string[]): SessionAgentBuilder =>
      defineAgent(async ({ prompt }) => {
        entered.push(prompt);
        return prompt;
      });
    /** The session is made live again in another slot. */
    const reopen = async (lane: OneLane, slot: number): Promise<number> => {
      lane.send([COMMANDS.FORGET.op, slot, 1]);
      lane.table.claim(slot + 10);
      lane.send([COMMANDS.OPEN.op, slot + 10, 1, `s${slot}`, undefined, 0]);
      await lane.until(() => lane.reports.at(-1)?.[1] === slot + 10);
      return slot + 10;
    };

    test("Q1: a new key costs no call, in a new session never, in one that wakes but for the first", async () => {
      const entered: string[] = [];
      const { lane, store } = laneWith(echo(entered));
      const calls: string[] = [];
      const good = { ...store.keyedTurns };
      store.keyedTurns.find = (...args) => (calls.push(`find ${args[1]}`), good.find(...args));
      store.keyedTurns.keys = (id) => (calls.push("keys"), good.keys(id));
      const slot = await lane.create();
      for (const key of ["k1", "k2", "k3"]) await ask(lane, slot, key, key).outcome;
      expect(calls).toEqual([]);
      expect([await ask(lane, slot, "k1", "k1").outcome, await ask(lane, slot, "x", "k2").outcome]).toEqual(["k1", "IDEMPOTENCY_CONFLICT"]);
      expect(calls.splice(0)).toEqual(["find k1", "find k2"]);
      const again = await reopen(lane, slot);
      for (const key of ["k4", "k5"]) await ask(lane, again, key, key).outcome;
      expect(calls.splice(0)).toEqual(["keys", "find k4"]);
      expect([await ask(lane, again, "k1", "k1").outcome, await ask(lane, again, "k4", "k4").outcome]).toEqual(["k1", "k4"]);
      expect([calls, entered]).toEqual([
        ["find k1", "find k4"],
        ["k1", "k2", "k3", "k4", "k5"],
      ]);
    });

    test("R2: while the store is asked, an interrupt is answered, and what the store says then changes nothing", async () => {
      const entered: string[] = [];
      const { lane, store } = laneWith(echo(entered));
      const slot = await lane.create();
      await ask(lane, slot, "a", "k").outcome;
      let answer!: () => void;
      const good = { ...store.keyedTurns };
      store.keyedTurns.find = async (...args) => (await new Promise<void>((resolve) => (answer = resolve)), good.find(...args));
      const { outcome } = ask(lane, slot, "a", "k");
      await lane.until(() => answer !== undefined);
      expect(lane.interrupt(slot)).toBe("asked");
      expect(await outcome).toBe("cancelled");
      store.keyedTurns.find = (...args) => good.find(...args);
      const next = ask(lane, slot, "a", "k");
      answer();
      expect([await next.outcome, entered]).toEqual(["a", ["a"]]);
    });

    test("when the store cannot say, the turn fails and nothing runs; the session goes on", async () => {
      const entered: string[] = [];
      const { lane, store } = laneWith(echo(entered));
      const slot = await lane.create();
      await ask(lane, slot, "a", "k").outcome;
      const good = { ...store.keyedTurns };
      store.keyedTurns.find = () => Promise.reject(new StoreError("corrupt", "as told"));
      expect(await ask(lane, slot, "a", "k").outcome).toBe("SESSION_STORE_ERROR");
      store.keyedTurns.find = (...args) => good.find(...args);
      expect([await ask(lane, slot, "a", "k").outcome, await ask(lane, slot, "b", "k2").outcome, entered]).toEqual(["a", "b", ["a", "b"]]);
    });

    test("a turn that is not saved is not remembered", async () => {
      const entered: string[] = [];
      const { lane, store } = laneWith(echo(entered));
      const slot = await lane.create();
      store.fails = "before";
      expect(await ask(lane, slot, "a", "k").outcome).toBe("SESSION_STORE_ERROR");
      store.fails = undefined;
      const again = await reopen(lane, slot);
      expect([await ask(lane, again, "a", "k").outcome, entered]).toEqual(["a", ["a", "a"]]);
    });

    test("of a store of an older version the last good turn is known", async () => {
      const entered: string[] = [];
      const { lane, store } = laneWith(echo(entered));
      const slot = await lane.create();
      await ask(lane, slot, "a", "k").outcome;
      store.keyedTurns.find = async () => undefined;
      const again = await reopen(lane, slot);
      expect([await ask(lane, again, "a", "k").outcome, entered]).toEqual(["a", ["a"]]);
    });
  });

  test("an agent whose session has left saves nothing any more", async () => {
    const plain = defineAgent(async ({ prompt }) => prompt);
    let checkpoint = (): Promise<void> => Promise.reject(new Error("not built"));
    const { lane, store } = laneWith({
      async buildAgent(request, context) {
        const agent = await plain.buildAgent(request, context);
        const session = agent.sessionClone();
        const later = { ...session, messages: [user("late")], updatedAt: session.updatedAt + 1 };
        checkpoint = async () => context.checkpointer?.checkpoint(later);
        return agent;
      },
    });
    const slot = await lane.create();
    lane.send([COMMANDS.FORGET.op, slot, lane.generation(slot)]);
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.FORGOTTEN.op));
    await checkpoint();
    expect(store.writes).toEqual([]);
  });

  test("a log that is not as long as its head says is not gone on with", async () => {
    const { lane, store } = laneWith(defineAgent(async ({ prompt }) => prompt));
    await lane.outcome(lane.start(await lane.create(), "mine"));
    const messages = (await store.messages("s0", 0, undefined)) ?? [];
    store.open = async (id) => ({ ...(await JournalStore.prototype.open.call(store, id)), messages: messages.slice(1) });
    const open = async (slot: number): Promise<number | undefined> => {
      lane.table.claim(slot);
      lane.send([COMMANDS.OPEN.op, slot, 1, "s0", undefined, 0]);
      await lane.until(() => lane.reports.at(-1)?.[1] === slot);
      return lane.reports.at(-1)?.[0];
    };
    expect(await open(1)).toBe(REPORTS.BUILT.op); // it was asked for once more
    store.messages = async () => messages.slice(1);
    expect(await open(2)).toBe(REPORTS.BUILD_FAILED.op);
  });

  test("an agent that is resumed under another id replaces nobody", async () => {
    const plain = defineAgent(async ({ prompt }) => prompt);
    const { lane, store } = laneWith({
      async buildAgent(request, context) {
        const agent = await plain.buildAgent(request, context);
        if (request.build?.resumeSession !== undefined || context.resume !== undefined) agent.sessionId = () => "s0";
        return agent;
      },
    });
    await lane.outcome(lane.start(await lane.create(), "mine"));
    const before = await store.head("s0");
    const resumeSession = { version: 1, id: "s1", messages: [], createdAt: 1, updatedAt: Date.now() + 1000, metadata: {}, usage: NO_USAGE };
    await lane.create({ resumeSession } as never);
    expect(lane.reports.at(-1)?.[0]).toBe(REPORTS.BUILD_FAILED.op);
    expect(await store.head("s0")).toEqual(before);
  });

  test("an agent built anew is not taken at the revision of the one before: what was taken back leaves the store", async () => {
    let isFirst = true;
    const { lane, store } = laneWith(
      {
        async buildAgent(_request, context) {
          const written = new WrittenAgent(true);
          written.messages = [...(context.resume?.messages ?? [])];
          written.revision = 0;
          const runs = isFirst ? ["stuck", "fine"] : ["fine"];
          isFirst = false;
          return Object.assign(written, {
            sessionId: () => context.sessionId,
            systemContextState: () => context.systemContext,
            setSkillReferences() {},
            setFlowToolOverlay() {},
            applyRuntimeSystemContext() {},
            runHostMode() {},
            cancel() {
              written.messages = [];
              written.revision = 1;
            },
            async runWithEvents(prompt: string) {
              written.add(prompt, `${prompt}!`);
              if (runs.shift() === "stuck") {
                await context.checkpointer?.checkpoint(written.sessionClone());
                await new Promise(() => {});
              }
              return { text: `${prompt}!`, sessionId: context.sessionId, turns: 1, toolCalls: 0, usage: NO_USAGE };
            },
          }) as never;
        },
      },
      10,
    );
    const slot = await lane.create();
    const stuck = lane.start(slot, "stuck");
    await lane.until(() => store.writes.length === 1);
    lane.interrupt(slot);
    expect(await lane.outcome(stuck)).toBe("cancelled");
    expect(await lane.outcome(lane.start(slot, "good"))).toBe("good!");
    expect(await store.messages("s0", 0, undefined)).toEqual([user("good"), user("good!")]);
  });
});
