/** Messages between sessions: what a lane says of them, what another lane sent, what agents and callers ask. */
import { HostComms } from "../../../src/host/comms/host-comms.ts";
import { HostEvents } from "../../../src/host/host-events.ts";
import type { SessionEntry } from "../../../src/host/session-entry.ts";
import { AgentError } from "../../../src/lane/agent-errors.ts";
import { AgentComms } from "../../../src/lane/comms/agent-comms.ts";
import { renderInteraction } from "../../../src/lane/comms/render-interaction.ts";
import { SessionComms } from "../../../src/lane/comms/session-comms.ts";
import type { CommsCommand } from "../../../src/protocol/handles.ts";
import type { CommsAsk } from "../../../src/protocol/comms.ts";
import { PeerBody, commsAskOf } from "../../../src/protocol/comms.ts";
import { COMMS_ERRORS } from "../../../src/protocol/comms-errors.ts";
import { SessionError } from "../../../src/protocol/errors.ts";
import { parseInput } from "../../../src/protocol/parse.ts";
import { CreateSessionRequestSchema } from "../../../src/protocol/requests.ts";
import type { CommsReport, LaneReport } from "../../../src/protocol/frames.ts";
import { COMMANDS, REPORTS } from "../../../src/protocol/frames.ts";
import { decodeValue, encodeValue } from "../../../src/transport/codec.ts";
import type { Boundary, Verdict } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { mutateOne } from "../mutate-bytes.ts";
import { mutateValue } from "../mutate-values.ts";
import { notPlain } from "../prototypes.ts";
import type { Random } from "../random.ts";

const NODES_MAX = 2_000_000;
const ALLOWED_BYTES = 200 * 1024 * 1024;
const ASK: CommsAsk = { name: "me", realm: "", trusted: ["you"] };

/** A session's line in a lane that writes down what it says. */
function line(): { comms: SessionComms; said: LaneReport[]; strays: () => number } {
  const said: LaneReport[] = [];
  let strays = 0;
  const outbox = { append: (report: LaneReport) => void said.push(report) };
  const lane = { outbox, now: () => 1, reportStray: () => void strays++, running: new Set() };
  const comms = new SessionComms({ lane: lane as never, slot: 0, generation: 1 }, ASK);
  comms.begin();
  return { comms, said, strays: () => strays };
}

function bodyOf(random: Random): object {
  const id = make.nameOf(random);
  return random.pick<object>([
    { kind: "peer_message", id, body: make.jsonOf(random) },
    { kind: "peer_request", id, intent: "review", ...(random.oneIn(2) && { params: make.jsonOf(random) }) },
    { kind: "peer_response", id, inReplyTo: id, status: "completed", ...(random.oneIn(2) && { result: make.jsonOf(random) }) },
  ]);
}

const bodies = make.samplesOf(200, (random) => Uint8Array.from(encodeValue(bodyOf(random))));
const received: Boundary<Uint8Array> = {
  name: "comms: what a peer's lane sent",
  weight: 2,
  make: (random) => mutateOne(random, bodies),
  check: (bytes): Verdict => {
    const { comms, said, strays } = line();
    comms.deliver("you", bytes);
    const [interaction, ...more] = comms.inbox.takeAll();
    expectThat(more.length === 0, "one message at most");
    const taken = said.filter(([op]) => op === REPORTS.PEER_TAKEN.op);
    expectThat(taken.length === 1 && taken[0]?.[3] === 1 && taken[0][4] === bytes.length, "its room is free again");
    expectThat((interaction === undefined) === (strays() === 1), "what is no message is told");
    if (interaction === undefined) return "refused";
    expectThat("from" in interaction && interaction.from === "you", "main says who sent it");
    const problem = notPlain(interaction, NODES_MAX);
    expectThat(problem === undefined, `a message that is no plain data: ${problem}`);
    expectThat(renderInteraction(interaction).startsWith("["), "it can be rendered");
    return "accepted";
  },
};

const commands = make.samplesOf(200, (random) => {
  const { id: _, ...rest } = bodyOf(random) as { id: string };
  return random.oneIn(4) ? { kind: "input", body: make.jsonOf(random), source: "rpc" } : { ...rest, to: "you" };
});
const sent: Boundary = {
  name: "comms: what an agent sends",
  allowedBytes: ALLOWED_BYTES,
  make: (random) => mutateValue(random, random.pick(commands)),
  check: async (command): Promise<Verdict> => {
    const { comms, said } = line();
    const sending = new AgentComms(comms).send(command as CommsCommand);
    const settled = sending.then(
      () => undefined,
      (error: unknown) => error,
    );
    await Promise.resolve();
    const call = said.find(([op]) => op === REPORTS.COMMS_CALL.op);
    if (call !== undefined) {
      const message = PeerBody.parse(decodeValue(call[6] as Uint8Array)); // what leaves is what the other lane takes
      expectThat(message.id !== "", "it has an id");
      comms.replied(call[3] as number, null, undefined);
    }
    const error = await settled;
    if (error === undefined) return "accepted";
    expectThat(error instanceof AgentError && Object.hasOwn(COMMS_ERRORS, error.kind), "an error of comms");
    return "refused";
  },
};

const asks = make.samplesOf(100, (random) => ({
  commsName: make.nameOf(random),
  ...(random.oneIn(2) && { trustedPeers: make.listOf(random, 3, () => make.nameOf(random)) }),
  ...(random.oneIn(2) && { peerMeta: { description: make.textOf(random), labels: { a: "b" } } }),
  ...(random.oneIn(2) && { realmId: make.nameOf(random) }),
}));
const asked: Boundary = {
  name: "comms: what a create asks for",
  allowedBytes: ALLOWED_BYTES,
  make: (random) => mutateValue(random, random.pick(asks)),
  check: (build): Verdict => {
    const isRefusal = (error: unknown): boolean => error instanceof SessionError && error.code === "INVALID_PARAMS";
    const taken = attempt(() => commsAskOf(parseInput(CreateSessionRequestSchema, { prompt: "", build }, "request").build), isRefusal);
    if (taken?.value === undefined) return "refused";
    const { name, trusted } = taken.value;
    expectThat(name !== "" && trusted.every((peer) => typeof peer === "string" && peer !== ""), "names are text");
    return "accepted";
  },
};

const VERBS = ["send", "send", "withdraw", "trust", "distrust", "peers", "other"];
function reportOf(random: Random): unknown[] {
  const odd = <T>(value: T): unknown => (random.oneIn(12) ? make.jsonOf(random) : value);
  return random.pick<() => unknown[]>([
    () => [20, 0, 1, odd(random.below(100)), odd(random.pick(VERBS)), odd(random.pick(["me", "you", "x"])), odd(random.bytes(20))],
    () => [20, 0, 1, odd(random.below(100)), odd(random.pick(VERBS)), odd(random.pick(["me", "you", "x"])), odd(random.bytes(20))],
    () => [21, 0, 1, odd(random.below(3)), odd(random.below(40))],
    () => [22, 0, 1, odd(random.oneIn(2))],
  ])();
}
interface Sent {
  readonly op: number;
  readonly request: unknown;
}
/** Two sessions that trust each other; one of them says anything at all. */
const reported: Boundary<unknown[][]> = {
  name: "comms: what a lane reports",
  allowedBytes: ALLOWED_BYTES,
  make: (random) => make.listOf(random, 12, () => reportOf(random)),
  check: (reports): Verdict => {
    const host = new HostComms({ events: new HostEvents({}), isOnItsWay: () => false });
    const to: Sent[][] = [[], []];
    const entries = ["me", "you"].map((name, at) => {
      const link = { send: ([op, , , request]: [number, number, number, unknown]) => void to[at]?.push({ op, request }) };
      const entry = { id: name, slot: at, generation: 1, state: "live", lane: { link, hasEnded: false } } as unknown as SessionEntry;
      host.building(host.claim({ name, realm: "", trusted: ["me", "you"] }, undefined), entry);
      return entry;
    }) as [SessionEntry, SessionEntry];
    let verdict: Verdict = "accepted";
    for (const report of reports) {
      try {
        host.take(entries[0], report as unknown as CommsReport);
      } catch (error) {
        expectThat(error instanceof Error, `it is distrusted for what it said, not for ${String(error)}`);
        verdict = "refused";
        break;
      }
    }
    const delivered = to.flat().filter(({ op }) => op === COMMANDS.PEER_DELIVER.op).length;
    const [mine, yours] = entries.map(({ comms }) => comms);
    expectThat((mine?.unread ?? 0) >= 0 && (mine?.unreadBytes ?? 0) >= 0, "what is unread is counted");
    expectThat((yours?.unread ?? 0) <= delivered, "what was delivered is what is unread");
    host.close();
    expectThat([...host.sessions()].length === 0 && mine?.sending.size === 0 && yours?.waiting.size === 0, "nothing is left");
    return verdict;
  },
};

export const COMMS: readonly Boundary<never>[] = [received, sent, asked, reported] as readonly Boundary[] as readonly Boundary<never>[];
