/** Rows and keys of the LMDB store: whatever a disk has made of them, what is read is of the right shape or StoreError corrupt or schema. */
import { isDeepStrictEqual } from "node:util";

import type { Message } from "../../../src/protocol/session-model.ts";
import { StoreError } from "../../../src/protocol/store-error.ts";
import { KEYED_TURN_KEPT_MS } from "../../../src/protocol/stored-session.ts";
import type { SessionHead, StoredContext } from "../../../src/protocol/stored-session.ts";
import * as listing from "../../../src/store/lmdb-listing.ts";
import { inputOf } from "../../../src/store/conformance/samples.ts";
import { findHead, wholeHead } from "../../../src/store/lmdb-heads.ts";
import { lastEvent, readEvents } from "../../../src/store/lmdb-events.ts";
import { readLog, readPackedLog } from "../../../src/store/lmdb-log.ts";
import { checkOwned } from "../../../src/store/lmdb-owner.ts";
import * as keyed from "../../../src/store/lmdb-keyed.ts";
import * as rows from "../../../src/store/lmdb-rows.ts";
import type { HeadRow } from "../../../src/store/lmdb-rows.ts";
import * as runtimes from "../../../src/store/lmdb-runtimes.ts";
import * as sessions from "../../../src/store/lmdb-sessions.ts";
import type { Table } from "../../../src/store/lmdb-env.ts";
import { encodeValue } from "../../../src/transport/codec.ts";
import { readMessages as readOrdinary } from "../../../src/transport/message-reader.ts";
import * as parts from "../../../src/transport/packed-session.ts";
import { packRest, packTurn, packWrite, unpackMessages } from "../../../src/transport/packed-write.ts";
import type { Boundary, Verdict } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { MemoryEnv } from "../memory-env.ts";
import { mutateOne } from "../mutate-bytes.ts";
import { notPlain } from "../prototypes.ts";
import { Random } from "../random.ts";

const ID = "session";
const isUnreadable = (error: unknown): boolean =>
  error instanceof StoreError && (error.reason === "corrupt" || error.reason === "schema") && typeof error.details["row"] === "string";
/** A call that writes may also refuse, and find that there is no such session. */
const isRefusal = (error: unknown): boolean =>
  error instanceof StoreError && ["corrupt", "schema", "not_found", "archived", "version", "fenced", "stale"].includes(error.reason);

export const isCount = (value: unknown, below = Number.MAX_SAFE_INTEGER + 1): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < below;
const isTime = (value: unknown): boolean => Number.isFinite(value) && (value as number) >= 0;
const isText = (value: unknown): value is string => typeof value === "string";
const isAbsentOr = (value: unknown, is: (value: unknown) => boolean): boolean => value === undefined || is(value);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
export function isUsage(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { inputTokens, outputTokens, cacheCreationTokens, cacheReadTokens, ...rest } = value;
  const areOptional = [cacheCreationTokens, cacheReadTokens].every((count) => isAbsentOr(count, isCount));
  return isCount(inputTokens) && isCount(outputTokens) && areOptional && Object.keys(rest).length === 0;
}
const isPlain = (value: unknown, bytes: number): boolean => notPlain(value, 4 * bytes + 64) === undefined;

function checkHead(head: HeadRow): void {
  const { number, epoch, version, createdAt, updatedAt, hasSystem, logLength, usage, labels, lastSeq, contextTaken, tailFrom, tailBytes } =
    head;
  expectThat(isCount(number, 2 ** 40), `number ${number}`);
  expectThat(isCount(logLength, 2 ** 32) && isCount(tailFrom, 2 ** 32), `logLength ${logLength}, tailFrom ${tailFrom}`);
  for (const [name, value] of Object.entries({ epoch, version, lastSeq, contextTaken, tailBytes }))
    expectThat(isCount(value), `${name} ${value}`);
  expectThat(isTime(createdAt) && isTime(updatedAt), `createdAt ${createdAt}, updatedAt ${updatedAt}`);
  expectThat(typeof hasSystem === "boolean" && isUsage(usage), "hasSystem or usage");
  expectThat(isRecord(labels) && Object.values(labels).every(isText), "labels");
  expectThat(isAbsentOr(head.lastTicket, isCount), `lastTicket ${head.lastTicket}`);
  expectThat(head.turn === undefined || head.turn instanceof Uint8Array, "turn");
}

const isResult = (result: unknown): boolean =>
  isRecord(result) && isText(result["text"]) && isCount(result["turns"]) && isCount(result["toolCalls"]) && isUsage(result["usage"]);

function checkTurn({ lastAssistantText, lastTurn }: Pick<SessionHead, "lastAssistantText" | "lastTurn">): void {
  expectThat(isAbsentOr(lastAssistantText, isText), "lastAssistantText");
  if (lastTurn === undefined) return;
  expectThat(isCount(lastTurn.ticket) && isAbsentOr(lastTurn.key, isText), "ticket or key");
  expectThat(isResult(lastTurn.result), "result");
}

function checkRest({ system, metadata }: Pick<SessionHead, "system" | "metadata">): void {
  expectThat(isAbsentOr(system, isText) && isRecord(metadata), "system or metadata");
}

const REQUEST_TEXTS = ["prompt", "agent", "model", "systemPrompt"] as const;
function checkOrigin({ agent, request }: Pick<SessionHead, "agent" | "request">): void {
  expectThat(isText(agent) && isRecord(request), "agent or request");
  const members: Readonly<Record<string, unknown>> = request;
  for (const name of REQUEST_TEXTS) expectThat(isAbsentOr(members[name], isText), `request.${name}`);
  expectThat(isAbsentOr(members["maxTokens"], isCount), "request.maxTokens");
  expectThat(
    isAbsentOr(members["hostMode"], (value) => typeof value === "boolean"),
    "request.hostMode",
  );
  expectThat(
    isAbsentOr(members["isolation"], (value) => value === "shared" || value === "dedicated"),
    "request.isolation",
  );
  expectThat(
    isAbsentOr(members["labels"], (labels) => isRecord(labels) && Object.values(labels).every(isText)),
    "request.labels",
  );
  expectThat(isAbsentOr(members["build"], isRecord), "request.build");
  expectThat(isAbsentOr(members["skillReferences"], Array.isArray), "request.skillReferences");
}

function checkContext({ staged, pending, seen }: StoredContext): void {
  expectThat(isCount(staged) && Array.isArray(pending) && pending.length <= staged && isRecord(seen), "staged, pending or seen");
  for (const append of pending as readonly unknown[]) {
    expectThat(isRecord(append) && isText(append["text"]), "an append");
    expectThat(isAbsentOr(append["source"], isText) && isAbsentOr(append["idempotencyKey"], isText), "an append's source or key");
    expectThat(isAbsentOr(append["acceptedAt"], isTime), "an append's time");
  }
  for (const entry of Object.values(seen) as unknown[]) {
    expectThat(isRecord(entry) && isText(entry["text"]) && isAbsentOr(entry["source"], isText), "what was seen");
    expectThat(entry["state"] === "pending" || entry["state"] === "applied", "a state of what was seen");
  }
}

const ROLES = new Set(["system", "user", "assistant", "block_assistant", "tool_results"]);
function checkMessages(messages: readonly Message[]): void {
  for (const message of messages as readonly unknown[]) expectThat(isRecord(message) && ROLES.has(message["role"] as string), "a message");
}

const NOW = 1_700_000_000_000;

const headOf = (random: Random): HeadRow => ({
  number: random.below(1000),
  epoch: 1 + random.below(100),
  version: random.below(1000),
  createdAt: make.timeOf(random),
  updatedAt: make.timeOf(random),
  hasSystem: random.oneIn(2),
  logLength: random.below(1000),
  usage: make.usageOf(random),
  labels: make.labelsOf(random),
  lastSeq: make.countOf(random),
  contextTaken: random.below(100),
  tailFrom: 0,
  tailBytes: random.below(20_000),
  lastTicket: random.oneIn(2) ? random.below(1e9) : undefined,
  turn: random.oneIn(2) ? Uint8Array.from(packTurn(make.stateOf(random))) : undefined,
  isArchived: false,
});

/** One row by itself. @param encode - again, what was read: it must be storable, and read as the same */
function row<T>(
  name: string,
  sample: (random: Random) => Uint8Array,
  decode: (bytes: Uint8Array) => T,
  check: (value: T) => void,
  encode: (value: T) => Uint8Array,
): Boundary<Uint8Array> {
  const samples = make.samplesOf(200, (random) => Uint8Array.from(sample(random)));
  for (const bytes of samples) check(decode(bytes));
  return {
    name: `row: ${name}`,
    weight: 3,
    make: (random) => mutateOne(random, samples),
    check: (bytes) => {
      const read = attempt(() => decode(bytes), isUnreadable);
      if (read === undefined) return "refused";
      expectThat(isPlain(read.value, bytes.length), "what was read is no plain data");
      check(read.value);
      const once = encode(read.value);
      const twice = encode(decode(once));
      expectThat(Buffer.compare(once, twice) === 0, "stored and read it is another value");
      return "accepted";
    },
  };
}

/** A small store: three sessions with messages, events and context. */
function filledEnv(seed: number): MemoryEnv {
  const random = new Random(seed);
  const memory = new MemoryEnv();
  for (const id of [ID, "other", "third"]) {
    const state = make.stateOf(random);
    sessions.create(memory.env, {
      ...make.newSessionOf(random),
      id,
      state,
      messages: [make.messageOf(random), ...make.messagesOf(random)],
    });
    for (let version = 1; version <= 3; version++) {
      const events = make.storedEventsOf(random, 4, version * 100);
      const write = {
        id,
        epoch: 1,
        version,
        state: { ...make.stateOf(random), lastTurn: make.lastTurnOf(random) }, // a turn with a key has a result
        messages: make.messagesOf(random),
        ...(random.oneIn(2) && { events }),
        ...(version < 3 && { keyed: { key: `k${version}`, fingerprint: "f", at: NOW - version } }),
      };
      sessions.writeTurn(memory.env, packWrite(write), random.oneIn(6) ? "rewrite" : "append");
    }
    sessions.putContext(memory.env, id, make.contextOf(random));
    for (const turn of [1, 2]) keyed.putAnswer(memory.env, `${id} ${turn}`, { value: Uint8Array.of(turn), expiresAt: NOW }, NOW - 10);
    runtimes.put(memory.env, id, "idle");
    for (const n of [1, 2, 3]) runtimes.addInput(memory.env, id, inputOf(n));
  }
  if (random.oneIn(2)) sessions.archive(memory.env, "third", 5);
  return memory;
}

/** A class: it is not made smaller by leaving members out. */
class Damage {
  readonly memory: MemoryEnv;
  readonly what: string;
  constructor(memory: MemoryEnv, what: string) {
    this.memory = memory;
    this.what = what;
  }
}

const FILLED = Array.from({ length: 24 }, (_, seed) => filledEnv(seed));

/** A row of one of the tables damaged, or its key, or gone, or there twice. */
function damaged(random: Random, tables: readonly Table[]): Damage {
  const memory = random.pick(FILLED).copy();
  const table = random.pick(tables);
  const all = memory.rows(table);
  const at = random.below(all.length);
  const aim = all[at];
  if (aim === undefined) return new Damage(memory, `nothing in ${table}`);
  const values = all.map(({ value }) => value);
  const keys = all.map(({ key }) => key);
  switch (random.below(8)) {
    case 0:
      aim.key = mutateOne(random, [...keys, aim.key]);
      break;
    case 1:
      all.splice(at, 1);
      break;
    case 2:
      aim.value = random.pick(values);
      break;
    default:
      aim.value = mutateOne(random, [aim.value, ...values]);
  }
  all.sort((a, b) => Buffer.compare(a.key, b.key));
  const what = `${table}: ${Buffer.from(aim.key).toString("hex")} = ${Buffer.from(aim.value).toString("hex")}`;
  return new Damage(memory, what);
}

/** Several calls on one damaged store: each gives what is right, or its documented error. */
function store(
  name: string,
  tables: readonly Table[],
  calls: (memory: MemoryEnv) => readonly (() => void)[],
  isDocumented: (error: unknown) => boolean,
): Boundary<Damage> {
  return {
    name: `store: ${name}`,
    weight: 0.3,
    make: (random) => damaged(random, tables),
    check: ({ memory }): Verdict => {
      let refused = 0;
      for (const call of calls(memory)) if (attempt(call, isDocumented) === undefined) refused++;
      return refused > 0 ? "refused" : "accepted";
    },
  };
}

const readWhole = (memory: MemoryEnv): void => {
  const head = findHead(memory.env, ID);
  if (head === undefined) return;
  checkHead(head);
  const whole = wholeHead(memory.env, ID, head);
  checkOrigin(whole);
  checkRest(whole);
  checkTurn(whole);
};

const readMessages = (memory: MemoryEnv, offset: number, limit: number): void => {
  const head = findHead(memory.env, ID);
  if (head === undefined) return;
  const messages = readLog(memory.env, ID, head, offset, limit);
  expectThat(messages.length === Math.max(0, Math.min(limit, head.logLength - offset)), "as many messages as were asked for");
  checkMessages(messages);
};

const readPacked = (memory: MemoryEnv): void => {
  const head = findHead(memory.env, ID);
  if (head === undefined) return;
  const packed = readPackedLog(memory.env, ID, head);
  // Whoever unpacks them looks again, and asks for the rows one by one when they are not messages.
  const decoded = attempt(
    () => unpackMessages(packed),
    (error) => error instanceof Error && error.name === "FrameError",
  );
  const ordinary = readOrdinary(packed);
  expectThat(ordinary === undefined || isDeepStrictEqual(ordinary, decoded?.value), "the messages that the decoder gives");
};

const readAllEvents = (memory: MemoryEnv, seq: number): void => {
  const head = findHead(memory.env, ID);
  if (head === undefined) return;
  for (const event of readEvents(memory.env, ID, head.number, seq, 100)) {
    expectThat(
      isCount(event.seq) && isCount(event.epoch) && isTime(event.timestampMs) && event.seq >= seq,
      "an event's number, epoch or time",
    );
    expectThat(isRecord(event.payload) && isText(event.payload.type), "an event's payload");
  }
};

const list = (memory: MemoryEnv, query: object): void => {
  for (const { id, createdAt, updatedAt, messageCount, usage, labels } of listing.list(memory.env, query, () => {})) {
    expectThat(
      isText(id) && isTime(createdAt) && isTime(updatedAt) && isCount(messageCount) && isUsage(usage) && isRecord(labels),
      "a row of the listing",
    );
  }
};

const append = (memory: MemoryEnv, how: "append" | "rewrite", count: number): void => {
  const random = new Random(count);
  const head = findHead(memory.env, ID);
  const messages = Array.from({ length: count }, () => ({ role: "user" as const, content: "x".repeat(300) }));
  const write = { id: ID, epoch: head?.epoch ?? 1, version: head?.version ?? 1, state: make.stateOf(random), messages };
  sessions.writeTurn(memory.env, packWrite(write), how);
};

const readRuntimes = (memory: MemoryEnv): void => {
  for (const { id, state, inputs } of runtimes.page(memory.env, undefined, () => {}).runtimes) {
    expectThat(isText(id) && ["idle", "retired", "stopped"].includes(state) && inputs.length <= 4, "a runtime");
    for (const { inputId, runId, boundary, request } of inputs) {
      expectThat(isText(inputId) && isText(runId) && isText(boundary) && isRecord(request) && isText(request["prompt"]), "an input");
    }
  }
};

const readKeyed = (memory: MemoryEnv): void => {
  const head = findHead(memory.env, ID);
  if (head === undefined) return;
  for (const key of ["k1", "k2", "k9"]) {
    const turn = keyed.findTurn(memory.env, head.number, ID, key, NOW);
    if (turn === undefined) continue;
    expectThat(turn.key === key && isText(turn.fingerprint) && isTime(turn.at) && isCount(turn.ticket), "a remembered turn");
    expectThat(isResult(turn.result), "its result");
  }
};

/** As turns that follow do: at first in time, then when all that is there is over. */
const rememberMore = (memory: MemoryEnv, at: number): void => {
  const head = findHead(memory.env, ID);
  if (head === undefined) return;
  const random = new Random(at % 1000);
  const turn = packTurn({ ...make.stateOf(random), lastTurn: make.lastTurnOf(random) });
  keyed.rememberTurn(memory.env, head.number, ID, [`k${at % 3}`, "f", at], turn);
};

const readAnswers = (memory: MemoryEnv): void => {
  for (const id of [ID, "other"]) {
    const value = keyed.getAnswer(memory.env, `${id} 1`, NOW - 5);
    expectThat(value === undefined || value instanceof Uint8Array, "an answer");
    keyed.claimAnswer(memory.env, `${id} 2`, { value: Uint8Array.of(9), expiresAt: NOW + 10 }, NOW + 1);
    keyed.putAnswer(memory.env, `${id} 3`, { value: Uint8Array.of(9), expiresAt: NOW + 10 }, NOW + 20);
  }
};

const LOG: readonly Boundary<Damage>[] = [
  store(
    "keyed turns",
    ["keyed", "expiries"],
    (memory) => [
      () => readKeyed(memory),
      () => {
        const head = findHead(memory.env, ID);
        const keys = head && keyed.turnKeys(memory.env, head.number, ID);
        expectThat(keys === undefined || keys.every(isText), "the keys");
      },
      () => rememberMore(memory, NOW),
      () => rememberMore(memory, NOW + 3 * KEYED_TURN_KEPT_MS),
      () => readKeyed(memory),
      () => void sessions.remove(memory.env, ID),
    ],
    isRefusal,
  ),
  store("answers", ["answers", "expiries"], (memory) => [() => readAnswers(memory), () => readAnswers(memory)], isRefusal),
  store(
    "runtimes",
    ["runtimes"],
    (memory) => [
      () => readRuntimes(memory),
      () => runtimes.removeInputs(memory.env, ID, ["input 2"]),
      () => runtimes.addInput(memory.env, ID, inputOf(4)),
      () => readRuntimes(memory),
      () => void runtimes.remove(memory.env, ID),
    ],
    isRefusal,
  ),
  store(
    "a whole session",
    ["heads", "parts"],
    (memory) => [
      () => readWhole(memory),
      () => void sessions.open(memory.env, ID, true),
      () => void parts.unpackSession(ID, sessions.openPacked(memory.env, ID, true)),
      () => void sessions.fence(memory.env, ID, true),
    ],
    isRefusal,
  ),
  store(
    "its log",
    ["log", "heads"],
    (memory) => [() => readMessages(memory, 0, 100), () => readMessages(memory, 2, 3), () => readPacked(memory)],
    isUnreadable,
  ),
  store(
    "an append to its log",
    ["log", "heads", "parts"],
    (memory) => [() => append(memory, "append", 3), () => append(memory, "append", 70), () => append(memory, "rewrite", 2)],
    isRefusal,
  ),
  store(
    "its events",
    ["events", "heads"],
    (memory) => [
      () => readAllEvents(memory, 0),
      () => readAllEvents(memory, 205),
      () => void lastEvent(memory.env, ID, findHead(memory.env, ID)?.number ?? 1),
      () =>
        void sessions.addEvents(memory.env, {
          id: ID,
          epoch: findHead(memory.env, ID)?.epoch ?? 1,
          events: [{ seq: 2 ** 40, timestampMs: 1, payload: { type: "x" } }],
        }),
    ],
    isRefusal,
  ),
  store(
    "listings",
    ["heads", "archived", "updated", "labels"],
    (memory) => [
      () => list(memory, {}),
      () => list(memory, { order: "updated" }),
      () => list(memory, { archived: true }),
      () => list(memory, { labels: findLabels(memory) }),
      () => list(memory, { order: "updated", labels: findLabels(memory), limit: 1 }),
    ],
    isUnreadable,
  ),
  store(
    "removal",
    ["heads", "archived", "log", "events", "parts", "updated"],
    (memory) => [() => void sessions.remove(memory.env, ID), () => void sessions.archive(memory.env, "other", 1)],
    isRefusal,
  ),
];

function findLabels(memory: MemoryEnv): Record<string, string> {
  try {
    return { ...findHead(memory.env, ID)?.labels };
  } catch {
    return { no: "labels" };
  }
}

const NEXT = Buffer.from("next");
const OWNER = Buffer.from("owner");
const numbers = make.samplesOf(20, (random) => Uint8Array.from(encodeValue(random.below(1000))));
const owners = make.samplesOf(20, (random) =>
  Uint8Array.from(encodeValue([random.below(1e5), random.below(1e9), make.nameOf(random), "1:2", "n1"])),
);

/** The counter of sessions' numbers and the owner's record, which no session's error names. */
const isMetaError = (error: unknown): boolean => error instanceof StoreError && (error.reason === "corrupt" || error.reason === "in_use");
const counter: Boundary<Uint8Array> = {
  name: "row: counter of sessions",
  weight: 0.5,
  make: (random) => mutateOne(random, numbers),
  check: (bytes) => {
    const memory = new MemoryEnv();
    memory.put("meta", NEXT, bytes);
    const created = attempt(() => sessions.create(memory.env, make.newSessionOf(new Random(1))), isMetaError);
    if (created === undefined) return "refused";
    const [head] = memory.rows("heads");
    expectThat(head !== undefined, "a head");
    checkHead(rows.decodeHead(head.value, ID, false));
    return "accepted";
  },
};
const owner: Boundary<Uint8Array> = {
  name: "row: owner",
  make: (random) => mutateOne(random, owners),
  check: (bytes) => {
    const memory = new MemoryEnv();
    memory.put("meta", OWNER, bytes);
    return attempt(() => checkOwned(memory.env, "path", "n1"), isMetaError) === undefined ? "refused" : "accepted";
  },
};

const keyedSample = (random: Random): Uint8Array =>
  keyed.encodeKeyed({
    seq: random.below(1000),
    key: make.nameOf(random),
    fingerprint: make.nameOf(random),
    at: make.timeOf(random),
    turn: Uint8Array.from(packTurn(make.stateOf(random))),
  });
function checkKeyed({ seq, key, fingerprint, at, turn }: ReturnType<typeof keyed.decodeKeyed>): void {
  expectThat(isCount(seq) && isText(key) && isText(fingerprint) && isTime(at) && turn instanceof Uint8Array, "a remembered turn");
}

const answerSample = (random: Random): Uint8Array =>
  keyed.encodeAnswer(make.nameOf(random), { expiresAt: random.below(1e9), value: Uint8Array.of(random.below(256)) });
function checkAnswer({ key, expiresAt, value }: ReturnType<typeof keyed.decodeAnswer>): void {
  expectThat(isText(key) && isCount(expiresAt) && value instanceof Uint8Array, "an answer");
}

export const ROWS: readonly Boundary<never>[] = [
  row(
    "head",
    (random) => rows.encodeHead(headOf(random)),
    (bytes) => rows.decodeHead(bytes, ID, false),
    checkHead,
    rows.encodeHead,
  ),
  row(
    "origin",
    (random) => parts.encodeOrigin({ agent: make.nameOf(random), request: make.createRequestOf(random) as never }),
    (bytes) => parts.decodeOrigin(bytes, ID),
    checkOrigin,
    parts.encodeOrigin,
  ),
  row(
    "state",
    (random) => packRest(make.stateOf(random)),
    (bytes) => parts.decodeState(bytes, ID),
    checkRest,
    packRest,
  ),
  row(
    "turn",
    (random) => packTurn(make.stateOf(random)),
    (bytes) => parts.decodeTurn(bytes, ID),
    checkTurn,
    packTurn,
  ),
  row(
    "context",
    (random) => rows.encodeContext(make.contextOf(random)),
    (bytes) => rows.decodeContext(bytes, ID),
    checkContext,
    rows.encodeContext,
  ),
  row("keyed", keyedSample, (bytes) => keyed.decodeKeyed(bytes, ID), checkKeyed, keyed.encodeKeyed),
  row("answer", answerSample, keyed.decodeAnswer, checkAnswer, (answer) => keyed.encodeAnswer(answer.key, answer)),
  counter,
  owner,
  ...LOG,
] as readonly Boundary[] as readonly Boundary<never>[];
