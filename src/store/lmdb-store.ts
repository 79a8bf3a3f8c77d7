/**
 * Sessions in an LMDB database: what each call reads and writes. Keys are in lmdb-keys.ts, rows in lmdb-rows.ts.
 *
 *   L3. A call looks at everything it depends on before it writes, and runs in a group's transaction (group-commit.ts).
 *   L4. A write costs what it brings: the head, the turn's row, a row of log; the rest of the state only where it changed.
 *   L5. A session is removed by its head. Rows that are left are erased by and by, under a number that is nobody's any more.
 */
import { existsSync } from "node:fs";

import type { SessionId } from "../protocol/ids.ts";
import type { Message } from "../protocol/session-model.ts";
import type { PackedWrite } from "../protocol/store-calls.ts";
import type { NewSession, SessionHead, SessionWrite, StoredContext, StoredQuery, StoredSummary } from "../protocol/stored-session.ts";
import { decodeValue, encodeValue } from "../transport/codec.ts";
import { packMessages, packRest, packTurn, packWrite, unpackUsage } from "../transport/packed-write.ts";
import { GroupCommit } from "./group-commit.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { appendEvents, eraseEvents, lastEvent, readEvents } from "./lmdb-events.ts";
import { PART, idKey, numberKey, numberOf, partKey } from "./lmdb-keys.ts";
import { index, list, reindex, unindex } from "./lmdb-listing.ts";
import { appendLog, eraseLog, readLog, readPackedLog } from "./lmdb-log.ts";
import type { Log } from "./lmdb-log.ts";
import { checkOwned, disown } from "./lmdb-owner.ts";
import { makeFolder } from "./lmdb-path.ts";
import * as rows from "./lmdb-rows.ts";
import type { HeadRow } from "./lmdb-rows.ts";
import { archived, checkCreate, checkEvents, checkId, checkWrite, notFound } from "./session-rules.ts";
import type { EventStore, EventWrite, SessionStore } from "./session-store.ts";
import { StoreError } from "../protocol/store-error.ts";

export interface LmdbStoreParts {
  readonly path: string;
  readonly readOnly: boolean;
  /** Of the owner; undefined when reading only. */
  readonly token: string | undefined;
  readonly onUnreadable: (error: StoreError) => void;
}

const NEXT_NUMBER = Buffer.from("next");
/** Rows that one transaction erases of removed sessions. */
const ERASED_AT_ONCE = 1000;

export class LmdbStore implements SessionStore {
  readonly events: EventStore = {
    append: (write) => this.#write(() => this.#appendEvents(write)),
    readFrom: (id, seq, limit) =>
      this.#read(() => {
        const head = this.#find(id);
        return head === undefined ? [] : readEvents(this.#env, id, head.number, seq, limit);
      }),
    last: (id, maxEpoch) =>
      this.#read(() => {
        const head = this.#find(id);
        return head && lastEvent(this.#env, id, head.number, maxEpoch);
      }),
  };
  readonly #env: LmdbEnv;
  readonly #parts: LmdbStoreParts;
  readonly #group: GroupCommit;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(env: LmdbEnv, parts: LmdbStoreParts) {
    this.#env = env;
    this.#parts = parts;
    this.#group = new GroupCommit(env, () => {
      if (parts.token !== undefined) checkOwned(env, parts.path, parts.token);
    });
    if (!parts.readOnly) this.#eraseLater();
  }

  create(session: NewSession): Promise<number> {
    return this.#write(() => {
      const { id, state, createdAt, labels, agent, request, messages } = session;
      checkId(id);
      const stored = this.#find(id);
      checkCreate(stored && { ...stored, system: stored.hasSystem ? "" : undefined }, session);
      const number = stored?.number ?? this.#drawNumber();
      const empty = { number, logLength: 0, tailFrom: 0, tailBytes: 0 };
      const log = packMessages(messages);
      const encoded = [rows.encodeOrigin({ agent, request }), packRest(state), packTurn(state)] as const;
      if (stored !== undefined) {
        unindex(this.#env, id, stored);
        eraseLog(this.#env, number, Number.POSITIVE_INFINITY);
        this.#env.remove("parts", partKey(number, PART.context));
      }
      const epoch = (stored?.epoch ?? 0) + 1;
      const { updatedAt, usage, lastSeq, contextTaken, system } = state;
      const head: HeadRow = {
        ...appendLog(this.#env, empty, log, messages.length),
        epoch,
        version: 1,
        createdAt,
        labels,
        updatedAt,
        usage,
        lastSeq,
        contextTaken,
        hasSystem: system !== undefined,
        lastTicket: undefined,
        isArchived: false,
      };
      this.#env.put("parts", partKey(number, PART.origin), encoded[0]);
      this.#env.put("parts", partKey(number, PART.state), encoded[1]);
      this.#env.put("parts", partKey(number, PART.turn), encoded[2]);
      this.#putHead(id, head);
      index(this.#env, id, head);
      return epoch;
    });
  }

  open(id: SessionId): Promise<{ head: SessionHead; messages: Message[] }> {
    return this.#write(() => this.#open(id, (head, row) => ({ head, messages: readLog(this.#env, id, row, 0, row.logLength) })));
  }

  openPacked(id: SessionId): Promise<{ head: SessionHead; log: Uint8Array }> {
    return this.#write(() => this.#open(id, (head, row) => ({ head, log: readPackedLog(this.#env, id, row) })));
  }

  #open<T>(id: SessionId, read: (head: SessionHead, row: HeadRow) => T): T {
    const stored = this.#find(id);
    if (stored === undefined) throw notFound(id);
    if (stored.isArchived) throw archived(id);
    const row = { ...stored, epoch: stored.epoch + 1 };
    const opened = read(this.#whole(id, row), row);
    this.#putHead(id, row);
    return opened;
  }

  fence(id: SessionId): Promise<SessionHead | undefined> {
    return this.#write(() => {
      const stored = this.#find(id);
      if (stored === undefined) return undefined;
      const head = { ...stored, epoch: stored.epoch + 1 };
      const whole = this.#whole(id, head);
      this.#putHead(id, head);
      return whole;
    });
  }

  append(write: SessionWrite): Promise<void> {
    return this.#write(() => this.#writeTurn(packWrite(write), "append"));
  }

  rewrite(write: SessionWrite): Promise<void> {
    return this.#write(() => this.#writeTurn(packWrite(write), "rewrite"));
  }

  writePacked(write: PackedWrite, how: "append" | "rewrite"): Promise<void> {
    return this.#write(() => this.#writeTurn(write, how));
  }

  head(id: SessionId): Promise<SessionHead | undefined> {
    return this.#read(() => {
      const head = this.#find(id);
      return head && this.#whole(id, head);
    });
  }

  messages(id: SessionId, offset: number, limit: number | undefined): Promise<Message[] | undefined> {
    return this.#read(() => {
      const head = this.#find(id);
      return head && readLog(this.#env, id, head, offset, limit ?? head.logLength);
    });
  }

  list(query: StoredQuery): Promise<StoredSummary[]> {
    return this.#read(() => list(this.#env, query, this.#parts.onUnreadable));
  }

  archive(id: SessionId, runningTicket: number | undefined): Promise<boolean> {
    return this.#write(() => {
      const head = this.#find(id);
      if (head === undefined || head.isArchived) return head !== undefined;
      const marked = { ...head, isArchived: true, lastTicket: runningTicket };
      unindex(this.#env, id, head);
      this.#env.remove("heads", idKey(id));
      this.#putHead(id, marked);
      index(this.#env, id, marked);
      return true;
    });
  }

  remove(id: SessionId): Promise<boolean> {
    return this.#write(() => this.#remove(id), "freeing");
  }

  context(id: SessionId): Promise<StoredContext | undefined> {
    return this.#read(() => {
      const head = this.#find(id);
      const bytes = head && this.#env.get("parts", partKey(head.number, PART.context));
      return bytes && rows.decodeContext(bytes, id);
    });
  }

  putContext(id: SessionId, context: StoredContext): Promise<void> {
    return this.#write(() => {
      const head = this.#find(id);
      if (head === undefined) throw notFound(id);
      if (head.isArchived) throw archived(id);
      this.#env.put("parts", partKey(head.number, PART.context), rows.encodeContext(context));
    });
  }

  async backup(path: string): Promise<void> {
    if (this.#isClosed) throw closed();
    if (existsSync(path)) throw new StoreError("unwritable", `${path} exists already`, { path });
    try {
      makeFolder(path);
      // What was called before the backup is in it.
      this.#group.flush();
      await this.#env.backup(path);
    } catch (error) {
      throw this.#env.describe(error);
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#group.flush();
    const { token } = this.#parts;
    try {
      if (token !== undefined) disown(this.#env, token);
    } catch {
      // A record that is left is one of a process that is gone, or of this one, which may take over.
    }
    await this.#env.close();
  }

  #remove(id: SessionId): boolean {
    const table = this.#tableOf(id);
    if (table === undefined) return false;
    const head = this.#readable(id);
    this.#env.remove(table, idKey(id));
    if (head !== undefined) {
      unindex(this.#env, id, head);
      this.#erase(head.number);
    }
    return true;
  }

  /** By index, not by destructuring: every turn comes through here, and iterating costs more than it looks. */
  #writeTurn(write: PackedWrite, how: "append" | "rewrite"): void {
    const id = write[0];
    const epoch = write[1];
    const isRestNew = write[13];
    const events = write[14];
    const stored = this.#find(id);
    checkWrite(stored, { id, epoch, version: write[2], ticket: write[3] ?? undefined });
    const { number } = stored;
    if (events !== null && events.length > 0) checkEvents(id, lastEvent(this.#env, id, number)?.seq ?? 0, events);
    if (how === "rewrite") eraseLog(this.#env, number, Number.POSITIVE_INFINITY);
    const before = how === "append" ? stored : { number, logLength: 0, tailFrom: 0, tailBytes: 0 };
    const head = headAfter(stored, write, appendLog(this.#env, before, write[9], write[10]));
    this.#env.put("parts", partKey(number, PART.turn), write[11]);
    if (isRestNew) this.#putIfNew(partKey(number, PART.state), write[12]);
    this.#putHead(id, head);
    reindex(this.#env, id, stored, head);
    if (events !== null) appendEvents(this.#env, number, epoch, events);
  }

  #appendEvents({ id, epoch, events, ticket }: EventWrite): number {
    const stored = this.#find(id);
    checkWrite(stored, { id, epoch, ticket });
    const last = lastEvent(this.#env, id, stored.number)?.seq ?? 0;
    checkEvents(id, last, events);
    appendEvents(this.#env, stored.number, epoch, events);
    return events.at(-1)?.seq ?? last;
  }

  #find(id: SessionId): HeadRow | undefined {
    const key = idKey(id);
    const live = this.#env.peek("heads", key);
    if (live !== undefined) return rows.decodeHead(live, id, false);
    const other = this.#env.peek("archived", key);
    return other && rows.decodeHead(other, id, true);
  }

  #tableOf(id: SessionId): "heads" | "archived" | undefined {
    return (["heads", "archived"] as const).find((table) => this.#env.has(table, idKey(id)));
  }

  /** The head, or undefined when it cannot be read. */
  #readable(id: SessionId): HeadRow | undefined {
    try {
      return this.#find(id);
    } catch (error) {
      if (error instanceof StoreError) return undefined;
      throw error;
    }
  }

  #putHead(id: SessionId, head: HeadRow): void {
    this.#env.put(head.isArchived ? "archived" : "heads", idKey(id), rows.encodeHead(head));
  }

  #putIfNew(key: Uint8Array, row: Uint8Array): void {
    const before = this.#env.get("parts", key);
    if (before === undefined || Buffer.compare(before, row) !== 0) this.#env.put("parts", key, row);
  }

  #whole(id: SessionId, head: HeadRow): SessionHead {
    const part = <T>(name: keyof typeof PART, decode: (bytes: Uint8Array, id: SessionId) => T): T => {
      const bytes = this.#env.get("parts", partKey(head.number, PART[name]));
      if (bytes === undefined) throw rows.corrupt({ session: id, row: name }, "is missing");
      return decode(bytes, id);
    };
    const { epoch, version, createdAt, updatedAt, logLength, usage, labels, lastSeq, contextTaken, isArchived } = head;
    const { agent, request } = part("origin", rows.decodeOrigin);
    const { system, metadata } = part("state", rows.decodeState);
    const { lastAssistantText, lastTurn } = part("turn", rows.decodeTurn);
    return {
      id,
      epoch,
      version,
      createdAt,
      updatedAt,
      logLength,
      usage,
      labels,
      lastSeq,
      contextTaken,
      isArchived,
      agent,
      request,
      metadata,
      ...(system !== undefined && { system }),
      ...(lastAssistantText !== undefined && { lastAssistantText }),
      ...(lastTurn !== undefined && { lastTurn }),
    };
  }

  #drawNumber(): number {
    const bytes = this.#env.get("meta", NEXT_NUMBER);
    const number = bytes === undefined ? 1 : (decodeValue(bytes) as number);
    this.#env.put("meta", NEXT_NUMBER, encodeValue(number + 1));
    return number;
  }

  /** Erase a removed session's rows; what is too much for one transaction is left to later ones. */
  #erase(number: number): void {
    for (const part of Object.values(PART)) this.#env.remove("parts", partKey(number, part));
    const erased = eraseLog(this.#env, number, ERASED_AT_ONCE);
    const left = ERASED_AT_ONCE - erased;
    if (left > 0 && eraseEvents(this.#env, number, left) < left) {
      this.#env.remove("doomed", numberKey(number));
      return;
    }
    this.#env.put("doomed", numberKey(number), new Uint8Array(0));
    this.#eraseLater();
  }

  #eraseLater(): void {
    const erase = (): void => {
      for (const key of this.#env.keys("doomed", { start: numberKey(0), end: Buffer.of(0xff), limit: 1 })) this.#erase(numberOf(key));
    };
    // What fails here is tried again with the next removal, or when the store is opened again.
    setImmediate(() => {
      if (!this.#isClosed) this.#group.call("freeing", erase).catch(() => {});
    });
  }

  #read<T>(run: () => T): Promise<T> {
    return this.#isClosed ? Promise.reject(closed()) : this.#group.call("read", run);
  }

  #write<T>(run: () => T, kind: "write" | "freeing" = "write"): Promise<T> {
    const { readOnly, path } = this.#parts;
    if (readOnly) return Promise.reject(new StoreError("unwritable", `the store in ${path} was opened for reading`, { path }));
    return this.#isClosed ? Promise.reject(closed()) : this.#group.call(kind, run);
  }
}

const closed = (): StoreError => new StoreError("closed", "the store is closed");

/** The head of a session whose log is now that one. Member by member: V8 takes 2 µs for each that is added to a spread object. */
function headAfter(stored: HeadRow, write: PackedWrite, log: Log): HeadRow {
  return {
    number: stored.number,
    epoch: stored.epoch,
    version: stored.version + 1,
    createdAt: stored.createdAt,
    updatedAt: write[4],
    hasSystem: write[8],
    logLength: log.logLength,
    usage: unpackUsage(write[5]),
    labels: stored.labels,
    lastSeq: write[6],
    contextTaken: write[7],
    tailFrom: log.tailFrom,
    tailBytes: log.tailBytes,
    lastTicket: undefined,
    isArchived: stored.isArchived,
  };
}
