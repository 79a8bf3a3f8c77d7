/** A session's line to its peers, in its lane: what it says to main, what it makes of what main says (L1, L2, J1, J2). */
import { afterEach, expect, test } from "vitest";

import { defineAgent } from "../../src/lane/define-agent.ts";
import type { SessionAgentBuilder, SimpleAgentDefinition, TurnContext, TurnFunction } from "../../src/protocol/agent.ts";
import type { LaneComms } from "../../src/protocol/comms.ts";
import { SENDING_MAX } from "../../src/protocol/comms.ts";
import type { CommsCallReport, LaneReport } from "../../src/protocol/frames.ts";
import { COMMANDS, REPORTS, TURN_FLAGS } from "../../src/protocol/frames.ts";
import { decodeValue, encodeValue } from "../../src/transport/codec.ts";
import { OneLane } from "./support/one-lane.ts";

const lanes: OneLane[] = [];
afterEach(() => Promise.all(lanes.splice(0).map((lane) => lane.close())));

const BUILD = { commsName: "me", trustedPeers: ["you"] };
function newLane(agent: SessionAgentBuilder | SimpleAgentDefinition | TurnFunction, interruptGraceMs?: number): OneLane {
  const lane = new OneLane(agent, interruptGraceMs);
  lanes.push(lane);
  return lane;
}
const lineOf = ({ comms }: TurnContext): LaneComms => comms as LaneComms;
const callsOf = ({ reports }: OneLane): CommsCallReport[] =>
  reports.filter((report): report is CommsCallReport => report[0] === REPORTS.COMMS_CALL.op);
const of = ({ reports }: OneLane, op: number): LaneReport[] => reports.filter((report) => report[0] === op);
const message = (body: unknown, id = "i"): Uint8Array => new Uint8Array(encodeValue({ kind: "peer_message", id, body }));
/** An agent that knows the line it was built with. */
const knowing = (turnOf: (line: LaneComms) => TurnFunction): SessionAgentBuilder => ({
  buildAgent: (request, context) => defineAgent(turnOf(context.comms as LaneComms)).buildAgent(request, context),
});
/** Turn the event loop a few times. */
const turns = async (count = 5): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

test("a send is one call with the message as bytes, and resolves with its receipt when main says so", async () => {
  const lane = newLane(async (turn) => JSON.stringify(await lineOf(turn).send({ kind: "peer_message", to: "you", body: [1] })));
  const slot = await lane.create(BUILD);
  const word = lane.start(slot);
  await lane.until(() => callsOf(lane).length === 1);
  const [, , , request, verb, name, bytes] = callsOf(lane)[0] as CommsCallReport;
  const sent = decodeValue(bytes as Uint8Array) as { id: string };
  expect([verb, name, sent]).toEqual(["send", "you", { kind: "peer_message", body: [1], id: sent.id }]);
  lane.send([COMMANDS.COMMS_REPLY.op, slot, 1, request, null]);
  expect(JSON.parse(await lane.outcome(word))).toEqual({ kind: "peer_message", id: sent.id, to: "you" });
});

test("L1: what main refuses is an error of its kind; a reply to nothing is nothing", async () => {
  const lane = newLane((turn) => lineOf(turn).send({ kind: "peer_message", to: "you", body: 1 }) as never);
  const slot = await lane.create(BUILD);
  const word = lane.start(slot);
  await lane.until(() => callsOf(lane).length === 1);
  lane.send([COMMANDS.COMMS_REPLY.op, slot, 1, 99, null], [COMMANDS.COMMS_REPLY.op, slot, 1, 1, null, ["comms_peer_offline", "gone"]]);
  expect(await lane.outcome(word)).toBe("comms_peer_offline");
});

test("L1: a send that its signal ends is withdrawn, and main's answer to it is nothing", async () => {
  const aborter = new AbortController();
  const lane = newLane(async (turn) => {
    const sent = lineOf(turn).send({ kind: "peer_message", to: "you", body: 1 }, { signal: aborter.signal });
    return sent.then(
      () => "sent",
      (error: Error) => error.message,
    );
  });
  const slot = await lane.create(BUILD);
  const word = lane.start(slot);
  await lane.until(() => callsOf(lane).length === 1);
  aborter.abort(new Error("enough"));
  expect(await lane.outcome(word)).toBe("enough");
  expect(callsOf(lane).map(([, , , request, verb]) => [request, verb])).toEqual([
    [1, "send"],
    [1, "withdraw"],
  ]);
  lane.send([COMMANDS.COMMS_REPLY.op, slot, 1, 1, null]);
});

test("L1: beyond 1,024 calls that wait the next is refused here", async () => {
  const lane = newLane(async (turn) => {
    const sends = Array.from({ length: SENDING_MAX + 1 }, () => lineOf(turn).send({ kind: "peer_message", to: "you", body: 1 }));
    for (const sent of sends) sent.catch(() => {});
    return sends.at(-1)?.then(
      () => "sent",
      (error: { kind: string }) => error.kind,
    ) as Promise<string>;
  });
  const slot = await lane.create(BUILD);
  expect(await lane.outcome(lane.start(slot))).toBe("comms_input_full");
  await turns();
  expect(callsOf(lane)).toHaveLength(SENDING_MAX);
  lane.send([COMMANDS.COMMS_SEAT.op, slot, 1, "closed"]);
});

test("before its session is live the line takes nothing", async () => {
  const said: unknown[] = [];
  const lane = newLane({
    turn: () => "",
    setup: async ({ request }) => said.push(request.build?.["commsName"]),
  });
  await lane.create(BUILD);
  const early = newLane({
    buildAgent: async (_, context) => {
      await context.comms?.addTrustedPeer({ name: "x" }).catch((error: { kind: string }) => said.push(error.kind));
      throw new Error("enough");
    },
  });
  await early.create(BUILD);
  expect(said).toEqual(["me", "comms_input_closed"]);
  expect(callsOf(early)).toEqual([]);
});

test("L2: a peer's message is stamped by main; what is no message is dropped, told, and its room is free again", async () => {
  const lane = newLane((turn) => JSON.stringify(lineOf(turn).drainMessages()));
  const slot = await lane.create(BUILD);
  const deliver = (bytes: Uint8Array): void => lane.send([COMMANDS.PEER_DELIVER.op, slot, 1, "you", bytes]);
  const wrong = [
    new Uint8Array([0xc1]),
    new Uint8Array(0),
    encodeValue("text"),
    encodeValue({ kind: "peer_message", id: "i" }),
    encodeValue({ kind: "peer_message", id: "i", body: 1, from: "admin" }),
    encodeValue({ kind: "input", id: "i", body: 1, source: "rpc" }),
    encodeValue({ kind: "peer_message", id: "", body: 1 }),
    encodeValue({ kind: "peer_message", id: "i", body: new Date(0) }),
    encodeValue({ kind: "peer_response", id: "i", inReplyTo: "r", status: "maybe" }),
  ].map((bytes) => new Uint8Array(bytes));
  for (const bytes of wrong) deliver(bytes);
  deliver(message({ a: 1 }));
  await lane.until(() => of(lane, REPORTS.PEER_TAKEN.op).length === wrong.length);
  expect(of(lane, REPORTS.PEER_TAKEN.op).map((report) => report.slice(3))).toEqual(wrong.map(({ byteLength }) => [1, byteLength]));
  expect(lane.lane.strayErrors).toBe(wrong.length);
  expect(JSON.parse(await lane.outcome(lane.start(slot)))).toEqual([{ kind: "peer_message", id: "i", from: "you", body: { a: 1 } }]);
});

test("main is told what is taken, and that the session is held while it waits", async () => {
  const waits: Promise<unknown>[] = [];
  const lane = newLane(
    knowing((line) => () => {
      waits.push(line.receive()); // goes on when the turn is over
      return "";
    }),
  );
  const slot = await lane.create(BUILD);
  await lane.outcome(lane.start(slot));
  await lane.until(() => of(lane, REPORTS.COMMS_HELD.op).length === 1);
  const bytes = message(1);
  lane.send([COMMANDS.PEER_DELIVER.op, slot, 1, "you", bytes]);
  await waits[0];
  await lane.until(() => of(lane, REPORTS.COMMS_HELD.op).length === 2);
  expect(of(lane, REPORTS.COMMS_HELD.op).map((report) => report[3])).toEqual([true, false]);
  expect(of(lane, REPORTS.PEER_TAKEN.op).map((report) => report.slice(3))).toEqual([[1, bytes.byteLength]]);
});

test("J2: what a turn waits for ends with its interrupt", async () => {
  const lane = newLane((turn) => lineOf(turn).receive() as never);
  const slot = await lane.create(BUILD);
  const word = lane.start(slot);
  await turns();
  lane.interrupt(slot);
  expect(await lane.outcome(word)).toBe("cancelled");
});

test("J1: an agent that was given up takes no message from its successor, and sends none", async () => {
  const lines: LaneComms[] = [];
  const late: Promise<unknown>[] = [];
  const lane = newLane(
    knowing((line) => {
      lines.push(line);
      return async ({ prompt }) => {
        if (prompt === "drain") return JSON.stringify(line.drainMessages());
        late.push(line.receive()); // of the agent, not of the turn: the interrupt does not end it
        late[0]?.catch(() => {});
        return new Promise<string>(() => {});
      };
    }),
    1,
  );
  const slot = await lane.create(BUILD);
  const word = lane.start(slot);
  await turns();
  lane.interrupt(slot);
  expect(await lane.outcome(word)).toBe("cancelled");
  await expect(late[0]).rejects.toMatchObject({ kind: "comms_input_closed" });
  const [old] = lines as [LaneComms];
  await expect(old.send({ kind: "input", body: 1 })).rejects.toMatchObject({ kind: "comms_input_closed" });
  expect(old.eventInjector().inject("x", "rpc")).toBe("closed");
  lane.send([COMMANDS.PEER_DELIVER.op, slot, 1, "you", message("for the next")]);
  expect(JSON.parse(await lane.outcome(lane.start(slot, "drain")))).toMatchObject([{ body: "for the next" }]);
});

test("a session that has no line after all, as its name was taken, says so", async () => {
  const lane = newLane((turn) =>
    lineOf(turn)
      .peers()
      .then(
        () => "",
        (error: { kind: string }) => error.kind,
      ),
  );
  const slot = await lane.create(BUILD);
  lane.send([COMMANDS.COMMS_SEAT.op, slot, 1, "none"]);
  expect(await lane.outcome(lane.start(slot))).toBe("comms_unsupported");
});

test("whom it trusts is what main says, and a snapshot shows it with what waits", async () => {
  const lane = newLane((turn) => JSON.stringify(lineOf(turn).peerIngressRuntimeSnapshot()));
  const slot = await lane.create(BUILD);
  const none = { total: 0, actionable: 0, response: 0, lifecycle: 0, silentRequest: 0, ack: 0, plainEvent: 0, queuedEntries: [] };
  const empty = {
    selfPeerId: "me",
    authRequired: true,
    authorityPhase: "absent",
    trustedPeers: ["you"],
    submissionQueueLen: 0,
    queue: none,
  };
  expect(JSON.parse(await lane.outcome(lane.start(slot)))).toEqual(empty);
  lane.send([COMMANDS.COMMS_SEAT.op, slot, 1, ["a", "b"]], [COMMANDS.PEER_DELIVER.op, slot, 1, "a", message(1)]);
  expect(JSON.parse(await lane.outcome(lane.start(slot)))).toEqual({
    ...empty,
    authorityPhase: "received",
    trustedPeers: ["a", "b"],
    queue: { ...none, total: 1, actionable: 1, queuedEntries: [{ id: "i", kind: "peer_message", from: "a" }] },
  });
});

test("J1: whoever follows an interaction of an agent that is given up is told, and there is no host-mode run to dismiss", async () => {
  const lines: LaneComms[] = [];
  const lane = newLane(
    knowing((line) => {
      lines.push(line);
      return ({ interaction }) => (interaction === undefined ? "begun" : new Promise<string>(() => {}));
    }),
    1,
  );
  const slot = await lane.create(BUILD);
  const word = lane.start(slot, "q", TURN_FLAGS.hostMode);
  await turns();
  const [old] = lines as [LaneComms];
  const { events } = old.interactionEventInjector().injectWithSubscription("hang", "rpc");
  const followed = events[Symbol.asyncIterator]().next();
  followed.catch(() => {});
  await turns();
  lane.interrupt(slot);
  expect(await lane.outcome(word)).toBe("cancelled");
  await expect(followed).rejects.toMatchObject({ kind: "comms_input_closed" });
  expect((lines.at(-1) as LaneComms).dismissReceived()).toBe(false);
});

test("J2: what a turn left waiting takes no message of the next one", async () => {
  const left: Promise<unknown>[] = [];
  const lane = newLane((turn) => {
    if (turn.prompt === "drain") return JSON.stringify(lineOf(turn).drainMessages());
    left.push(lineOf(turn).receive());
    return "left";
  });
  const slot = await lane.create(BUILD);
  expect(await lane.outcome(lane.start(slot))).toBe("left");
  lane.send([COMMANDS.PEER_DELIVER.op, slot, 1, "you", message("kept")]);
  expect(JSON.parse(await lane.outcome(lane.start(slot, "drain")))).toMatchObject([{ body: "kept" }]);
  await expect(left[0]).rejects.toMatchObject({ kind: "comms_input_closed" });
});
