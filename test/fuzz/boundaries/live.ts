/** Both ends of ports at work: garbage between good frames harms nobody, and what is good is answered. */
import { defineAgent } from "../../../src/lane/define-agent.ts";
import { COMMANDS, REPORTS } from "../../../src/protocol/frames.ts";
import { STORE_COMMANDS, STORE_REPORTS } from "../../../src/protocol/store-calls.ts";
import { STORE_REASONS, StoreError } from "../../../src/protocol/store-error.ts";
import { SessionError } from "../../../src/protocol/errors.ts";
import { SessionServiceOptionsSchema } from "../../../src/protocol/options.ts";
import { parseInput } from "../../../src/protocol/parse.ts";
import { EphemeralSessionService } from "../../../src/host/ephemeral-service.ts";
import { SessionHost } from "../../../src/host/session-host.ts";
import { agent, startFakeThread, threads } from "../../unit/support/in-thread-lanes.ts";
import { LaneWords } from "../../../src/core/lane-words.ts";
import { LaneBacklog } from "../../../src/host/lane-backlog.ts";
import { LaneLink } from "../../../src/host/lane-link.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { StoreServer } from "../../../src/store/serve-store.ts";
import { FrameError, encodeFrame, frameReader } from "../../../src/transport/codec.ts";
import { memoryPipe } from "../../../src/transport/memory-transport.ts";
import { StoreClient } from "../../../src/transport/store-client.ts";
import { OneLane } from "../../unit/support/one-lane.ts";
import type { Boundary, Verdict } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { mutateOne } from "../mutate-bytes.ts";
import { hostile } from "../mutate-values.ts";
import { packWrite } from "../../../src/transport/packed-write.ts";
import { Random } from "../random.ts";
import { frameOf } from "./codec.ts";

/** Whether a frame can be read: then its records are what the other side said, and are taken for that. */
function verdictOf(read: (frame: Uint8Array) => unknown, frame: Uint8Array): Verdict {
  return attempt(
    () => read(frame),
    (error) => error instanceof FrameError,
  ) === undefined
    ? "refused"
    : "accepted";
}
/** A transport takes the buffer of what it sends away. */
const copyOf = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// ── the store's thread ──

const readCalls = frameReader(STORE_COMMANDS);
const METHODS = ["create", "open", "fence", "append", "rewrite", "head", "messages", "sleeping", "list", "archive", "remove", "context", "putContext", "backup", "logEvents", "readEvents", "lastEvent", "checkpoint", "cancelCheckpoints", "rearmCheckpoints", "dropGate", "laneDrained"]; // prettier-ignore
function callOf(random: Random): unknown[] {
  const packed = packWrite(make.writeOf(random));
  const args = random.pick<unknown[]>([
    [make.newSessionOf(random)],
    ["n1", 5],
    [packed],
    [packed, true],
    [{ limit: 5 }],
    ["n1", make.contextOf(random)],
    ["n1", 0, 10],
    [],
  ]);
  return [1, random.below(100_000), random.oneIn(8) ? random.pick(make.HOSTILE_KEYS) : random.pick(METHODS), random.oneIn(8) ? null : args];
}
const calls = make.samplesOf(300, (random) => encodeFrame(make.listOf(random, 3, () => callOf(random))));

function storeServer(): Boundary<Uint8Array> {
  const [main, thread] = memoryPipe();
  let client: StoreClient;
  let cases = 0;
  return {
    name: "live: the store's thread",
    weight: 0.2,
    open: () => {
      new StoreServer(new MemoryStore(), () => {}).serve(thread, 1);
      client = new StoreClient(main);
    },
    make: (random) => mutateOne(random, calls),
    check: async (frame) => {
      main.send(copyOf(frame));
      const id = `good ${cases++}`;
      expectThat((await client.call("create", { ...make.newSessionOf(new Random(cases)), id })) === 1, "a session is created");
      const head = await client.call("head", id);
      expectThat(head?.id === id && head.epoch === 1, "a good call is answered");
      expectThat(await client.call("remove", id), "and is there to be removed");
      return verdictOf(readCalls, frame);
    },
    close: () => client.close(),
  };
}

/** A third party's store may throw anything at all: the call is answered with a StoreError. */
function failingStore(): Boundary<{ readonly thrown: unknown }> {
  const [main, thread] = memoryPipe();
  let thrown: unknown;
  let client: StoreClient;
  const store = new MemoryStore();
  store.head = () => Promise.reject(thrown as Error);
  return {
    name: "live: a store that fails",
    weight: 0.3,
    allowedBytes: 64 * 1024 * 1024,
    open: () => {
      new StoreServer(store, () => {}).serve(thread);
      client = new StoreClient(main);
    },
    make: (random) => ({ thrown: thrownBy(random) }),
    check: async (input): Promise<Verdict> => {
      thrown = input.thrown;
      let answer: unknown;
      try {
        answer = await client.call("head", "a");
      } catch (error) {
        answer = error;
      }
      expectThat(answer instanceof StoreError && Object.hasOwn(STORE_REASONS, answer.reason), "a StoreError of a known reason");
      expectThat(
        typeof answer.message === "string" && typeof answer.details === "object" && answer.details !== null,
        "its message and details",
      );
      return "refused";
    },
    close: () => client.close(),
  };
}

function thrownBy(random: Random): unknown {
  const error: object = random.oneIn(3) ? new StoreError("io", "failed") : random.oneIn(2) ? new Error("failed") : {};
  for (const member of ["reason", "message", "details"]) {
    if (random.oneIn(2)) continue;
    const value = random.oneIn(2) ? random.pick(["fenced", "constructor", "corrupt", "text"]) : hostile(random);
    Object.defineProperty(error, member, random.oneIn(6) ? { get: unreadable } : { value, configurable: true });
  }
  return random.oneIn(3) ? hostile(random) : error;
}
const unreadable = (): never => {
  throw new Error("from a getter");
};

const readAnswers = frameReader(STORE_REPORTS);
const answers = make.samplesOf(300, (random) =>
  encodeFrame(
    make.listOf(random, 3, () =>
      random.oneIn(2) ? [1, random.below(500), make.jsonOf(random)] : [2, random.below(500), { reason: "io", message: "m", details: {} }],
    ),
  ),
);

function storeClient(): Boundary<Uint8Array> {
  const [main, thread] = memoryPipe();
  let client: StoreClient;
  return {
    name: "live: a client of the store",
    weight: 0.5,
    open: () => {
      client = new StoreClient(main);
      thread.onFrame((frame) => {
        for (const [, request, , args] of readCalls(frame) as [1, number, string, unknown[]][]) {
          thread.send(encodeFrame([[STORE_REPORTS.REPLY.op, request, args[0]]]));
        }
      });
    },
    make: (random) => mutateOne(random, answers),
    check: async (frame) => {
      thread.send(copyOf(frame));
      await nextTurn();
      expectThat(((await client.call("head", "good")) as unknown) === "good", "a good answer is taken");
      expectThat(client.waiting === 0, "nothing waits");
      return verdictOf(readAnswers, frame);
    },
    close: () => client.close(),
  };
}

// ── a lane ──

const readCommands = frameReader(COMMANDS);
const commands = make.samplesOf(300, (random) => frameOf(random, COMMANDS));
const STRAY = REPORTS.STRAY_ERROR.op;
/** Commands that name slots beyond these are somebody else's; the good session is there. */
const GOOD_SLOT = 4001;

function lane(): Boundary<Uint8Array> {
  let one: OneLane;
  let slot = -1;
  const renew = async (): Promise<void> => {
    await (one as OneLane | undefined)?.close();
    one = new OneLane(defineAgent((turn) => `said ${turn.prompt}`));
    one.skipSlots(GOOD_SLOT);
    slot = await one.create();
  };
  let cases = 0;
  return {
    name: "live: a lane",
    weight: 0.3,
    allowedBytes: 16 * 1024 * 1024,
    open: renew,
    make: (random) => mutateOne(random, commands),
    check: async (frame) => {
      if (++cases % 2000 === 0) await renew(); // sessions that garbage made are many by now
      one.reports.length = 0;
      const { strayErrors } = one.lane;
      const verdict = verdictOf(readCommands, frame);
      one.sendBytes(copyOf(frame));
      const outcome = await one.outcome(one.start(slot, "good"));
      expectThat(outcome === "said good", `a good turn is answered, not: ${outcome}`);
      expectThat(verdict === "accepted" || one.lane.strayErrors > strayErrors, "garbage is reported");
      return verdict;
    },
    close: () => one.close(),
  };
}

// ── main's end of a lane ──

const readReports = frameReader(REPORTS);
const reports = make.samplesOf(300, (random) => frameOf(random, REPORTS));

function laneLink(): Boundary<Uint8Array> {
  const [main, thread] = memoryPipe();
  let taken = 0;
  let garbage = 0;
  return {
    name: "live: main's end of a lane",
    weight: 0.5,
    open: () =>
      void new LaneLink(
        0,
        main,
        new LaneBacklog(new LaneWords()),
        (records) => (taken += records.length),
        () => garbage++,
      ),
    make: (random) => mutateOne(random, reports),
    check: async (frame) => {
      const before = garbage;
      const verdict = verdictOf(readReports, frame);
      thread.send(copyOf(frame));
      await nextTurn();
      await nextTurn();
      const good = taken;
      thread.send(encodeFrame([[STRAY, "good"]]));
      for (let turns = 0; taken === good && turns < 100; turns++) await nextTurn();
      expectThat(taken === good + 1, "a good frame is taken");
      expectThat(garbage === before + (verdict === "refused" ? 1 : 0), "garbage is reported, once");
      return verdict;
    },
    close: () => main.close(),
  };
}

// ── a host ──

/** What a lane may tell main without being distrusted: a report that cannot be taken ends its lane, so that its callers are answered. */
function host(): Boundary<Uint8Array> {
  let service: EphemeralSessionService;
  let id = "";
  const renew = async (): Promise<void> => {
    await (service as EphemeralSessionService | undefined)?.shutdown({ deadlineMs: 0 });
    threads.length = 0;
    agent.builder = defineAgent((turn) => `said ${turn.prompt}`);
    const options = parseInput(SessionServiceOptionsSchema, { agent: "in-thread", lanes: { count: 1 } }, "options");
    service = Reflect.construct(EphemeralSessionService, [await SessionHost.open(options, startFakeThread)]) as EphemeralSessionService;
    id = (await service.createSession({ prompt: "", initialTurn: "defer", build: { commsName: "me", trustedPeers: ["me"] } })).sessionId;
  };
  return {
    name: "live: a host over a lane",
    weight: 0.15,
    allowedBytes: 32 * 1024 * 1024,
    open: renew,
    make: (random) => mutateOne(random, reports),
    check: async (frame) => {
      const verdict = verdictOf(readReports, frame);
      const thread = threads.at(-1);
      thread?.postBytes(copyOf(frame));
      for (let turn = 1; turn <= 2; turn++) {
        let outcome: string;
        try {
          outcome = (await service.startTurn(id, { prompt: "good" })).text;
        } catch (error) {
          expectThat(error instanceof SessionError, `a turn failed with ${String(error)}`);
          outcome = error.code;
        }
        expectThat(verdict === "accepted" || outcome === "said good", `a good turn is answered, not: ${outcome}`);
      }
      expectThat(service.inspect().turns.running === 0, "no turn is left running");
      // Readable, it is what the lane said, be it a session's end or nonsense that ends the lane.
      const isWell =
        thread?.told === undefined &&
        (await service.read(id).then(
          () => true,
          () => false,
        ));
      expectThat(isWell || verdict === "accepted", "the lane and its session are there");
      if (!isWell) await renew();
      return verdict;
    },
    close: async () => service.shutdown({ deadlineMs: 0 }),
  };
}

export const LIVE: readonly Boundary<never>[] = [
  storeServer(),
  failingStore(),
  storeClient(),
  lane(),
  laneLink(),
  host(),
] as readonly Boundary[] as readonly Boundary<never>[];
