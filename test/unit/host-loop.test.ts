/** A host-mode run of an agent with peers, in a lane of this thread (O1–O3). */
import { afterEach, describe, expect, test } from "vitest";

import { readSummary } from "../../src/core/slot-summary.ts";
import * as turnLock from "../../src/core/turn-lock.ts";
import type { TurnFunction } from "../../src/protocol/agent.ts";
import type { Interaction, LaneComms } from "../../src/protocol/comms.ts";
import { COMMANDS, REPORTS, TURN_FLAGS } from "../../src/protocol/frames.ts";
import { encodeValue } from "../../src/transport/codec.ts";
import { OneLane } from "./support/one-lane.ts";

const lanes: OneLane[] = [];
afterEach(() => Promise.all(lanes.splice(0).map((lane) => lane.close())));

const HOST_MODE = TURN_FLAGS.hostMode + TURN_FLAGS.hasConsumer;

/** A session in host mode whose messages and boundary are the test's. */
async function hosted(
  turn: TurnFunction,
  prompt = "",
): Promise<{
  lane: OneLane;
  slot: number;
  word: number;
  say: (...bodies: unknown[]) => void;
  stopAtBoundary: () => void;
  types: () => unknown[];
  result: () => Promise<unknown[]>;
}> {
  const lane = new OneLane(turn);
  lanes.push(lane);
  const slot = await lane.create({ commsName: "me", trustedPeers: ["you"] });
  const word = lane.start(slot, prompt, HOST_MODE);
  let sent = 0;
  return {
    lane,
    slot,
    word,
    say: (...bodies) => {
      for (const body of bodies) {
        const message = new Uint8Array(encodeValue({ kind: "peer_message", id: `m${++sent}`, body }));
        lane.send([COMMANDS.PEER_DELIVER.op, slot, 1, "you", message]);
      }
    },
    stopAtBoundary: () => {
      turnLock.requestBoundaryCancel(lane.table, slot);
      lane.words.ring();
      lane.send([COMMANDS.WAKE.op]);
    },
    types: () => lane.events(word).map(([, payload]) => payload),
    /** @returns text and turns */
    result: async () => {
      await lane.outcome(word);
      const report = lane.reports.find(([op, , , of]) => op === REPORTS.RESULT.op && of === word);
      return report === undefined ? [] : report.slice(4, 6);
    },
  };
}
const turns = async (count = 5): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
const bodyOf = (interaction: Interaction | undefined): unknown => (interaction?.kind === "peer_message" ? interaction.body : undefined);

test("O1: the prompt first, then one interaction after the other; what the agent is given says which", async () => {
  const seen: unknown[] = [];
  const { say, stopAtBoundary, types, result, lane, slot } = await hosted(async ({ prompt, interaction, hostMode, turn, messages }) => {
    await Promise.resolve();
    seen.push([prompt, interaction?.id, hostMode, turn, messages.length]);
    return `re: ${prompt.split("\n").at(-1)}`;
  }, "hello");
  say("one", "two");
  await lane.until(() => seen.length === 3);
  await turns();
  stopAtBoundary();
  expect(await result()).toEqual(["re: two", 3]);
  expect(seen).toEqual([
    ["hello", undefined, true, 1, 1],
    ['[MESSAGE from "you"]\none', "m1", true, 2, 3],
    ['[MESSAGE from "you"]\ntwo', "m2", true, 3, 5],
  ]);
  expect(types()).toEqual([
    { type: "interaction_complete", interactionId: "m1", result: "re: one" },
    { type: "interaction_complete", interactionId: "m2", result: "re: two" },
  ]);
  expect(readSummary(lane.table, slot)?.messageCount).toBe(6);
});

test("O1: an interaction that fails is taken back and told, and the run goes on", async () => {
  const counts: number[] = [];
  const { say, stopAtBoundary, types, result, lane } = await hosted(({ interaction, messages, append }) => {
    counts.push(messages.length);
    append({ role: "user", content: "more" });
    if (bodyOf(interaction) === "bad") throw new Error("no");
    return "good";
  });
  say("bad", "bad", "fine", "bad", "bad", "fine");
  await lane.until(() => counts.length === 6);
  await turns();
  stopAtBoundary();
  expect(await result()).toEqual(["good", 2]);
  expect(counts).toEqual([1, 1, 1, 4, 4, 4]);
  expect(types()[0]).toEqual({ type: "interaction_failed", interactionId: "m1", error: "no" });
});

test("O1: three that fail in a row end the run with the last error; what stood before stands", async () => {
  const { say, lane, word, slot } = await hosted(({ interaction }) => {
    if (typeof bodyOf(interaction) === "number") throw Object.assign(new Error("no"), { kind: `told_${String(bodyOf(interaction))}` });
    return "good";
  });
  say("fine", 1, 2, 3, "never seen");
  expect(await lane.outcome(word)).toBe("told_3");
  expect(readSummary(lane.table, slot)?.messageCount).toBe(2);
});

describe("O2: the end", () => {
  test("asked to stop while it waits, it ends with what it has", async () => {
    const { stopAtBoundary, result } = await hosted(() => "never");
    await turns();
    stopAtBoundary();
    expect(await result()).toEqual(["", 0]);
  });

  test("asked to stop while it works, it ends when it is done; what waits stays in the inbox", async () => {
    let go!: () => void;
    const { say, stopAtBoundary, result, lane, slot } = await hosted(({ prompt, comms }) => {
      if (prompt === "drain") return JSON.stringify(comms?.drainMessages().map(({ id }) => id));
      return new Promise<string>((resolve) => (go = () => resolve("done")));
    });
    say("one", "two");
    await turns();
    stopAtBoundary();
    await turns();
    go();
    expect(await result()).toEqual(["done", 1]);
    expect(await lane.outcome(lane.start(slot, "drain"))).toBe('["m2"]');
  });

  test("dismissed by itself or through its handle, it ends; without a run there is nothing to dismiss", async () => {
    const lines: LaneComms[] = [];
    const { say, result, lane, slot } = await hosted(({ comms, prompt }) => {
      if (prompt !== "again") lines.push(comms as LaneComms);
      return String(comms?.dismissReceived());
    });
    say("one");
    expect(await result()).toEqual(["true", 1]);
    expect(await lane.outcome(lane.start(slot, "again"))).toBe("false");
    const word = lane.start(slot, "", HOST_MODE);
    await turns();
    expect(lines[0]?.dismissReceived()).toBe(true);
    expect(await lane.outcome(word)).toBe("");
  });

  test("interrupted while it waits, it ends as cancelled, and what was answered stands", async () => {
    const { say, lane, slot, word, types } = await hosted(() => "good");
    say("one");
    await lane.until(() => types().length === 1);
    lane.interrupt(slot);
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(readSummary(lane.table, slot)?.messageCount).toBe(2);
  });

  test("interrupted while it works, it ends as cancelled at the last interaction that was answered", async () => {
    const { say, lane, slot, word, types } = await hosted(async ({ interaction, throwIfInterrupted }) => {
      if (bodyOf(interaction) === "slow") {
        lane.interrupt(slot);
        await turns();
        throwIfInterrupted();
      }
      return "good";
    });
    say("one", "slow", "never seen");
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(readSummary(lane.table, slot)?.messageCount).toBe(2);
    expect(types()).toHaveLength(1);
  });

  test("interrupted, an answer that came all the same does not stand", async () => {
    const { say, lane, slot, word } = await hosted(async () => {
      lane.interrupt(slot);
      await turns();
      return "too late";
    });
    say("one");
    expect(await lane.outcome(word)).toBe("cancelled");
    expect(readSummary(lane.table, slot)?.messageCount).toBe(0);
  });

  test("when its session leaves it ends with a good result", async () => {
    const { lane, slot, result } = await hosted(() => "good");
    await turns();
    lane.send([COMMANDS.COMMS_SEAT.op, slot, 1, "closed"], [COMMANDS.FORGET.op, slot, 1]);
    expect(await result()).toEqual(["", 0]);
    await lane.until(() => lane.reports.some(([op]) => op === REPORTS.FORGOTTEN.op));
  });
});

test("whoever injects with a subscription has the interaction's events, and no other", async () => {
  let injector: ReturnType<LaneComms["interactionEventInjector"]> | undefined;
  const { say, stopAtBoundary, result, lane } = await hosted(async ({ comms, interaction, emit, prompt }) => {
    injector = comms?.interactionEventInjector();
    await emit({ type: "text_delta", delta: prompt.split("\n").at(-1) as string });
    if (interaction?.kind === "input" && interaction.body === "bad") throw new Error("no");
    return "good";
  });
  say("one");
  await lane.until(() => injector !== undefined);
  const subscribed = ["fine", "bad"].map((body) => injector?.injectWithSubscription(body, "rpc"));
  say("two");
  const seen = await Promise.all(
    subscribed.map(async (subscription) => {
      const events: unknown[] = [];
      for await (const event of subscription?.events ?? []) events.push(event);
      return events;
    }),
  );
  const [fine, bad] = subscribed.map((subscription) => subscription?.id);
  expect(seen).toEqual([
    [
      { type: "text_delta", delta: "fine" },
      { type: "interaction_complete", interactionId: fine, result: "good" },
    ],
    [
      { type: "text_delta", delta: "bad" },
      { type: "interaction_failed", interactionId: bad, error: "no" },
    ],
  ]);
  await turns();
  stopAtBoundary();
  expect(await result()).toEqual(["good", 3]);
});

test("without peers host mode is one run, as it was", async () => {
  const lane = new OneLane(({ prompt, hostMode, comms }) => `${prompt} ${hostMode} ${typeof comms}`);
  lanes.push(lane);
  expect(await lane.outcome(lane.start(await lane.create(), "q", HOST_MODE))).toBe("q true undefined");
});
