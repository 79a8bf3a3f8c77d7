/**
 * A store of sessions in an LMDB database: takes calls, runs each in a group's transaction, and owns the environment. What a call reads
 * and writes is in lmdb-sessions.ts.
 */
import { existsSync } from "node:fs";

import type { SessionId } from "../protocol/ids.ts";
import type { Message } from "../protocol/session-model.ts";
import type { PackedSession, PackedWrite } from "../protocol/store-calls.ts";
import { StoreError } from "../protocol/store-error.ts";
import type { NewSession, SessionHead, SessionWrite, StoredContext, StoredQuery, StoredSummary } from "../protocol/stored-session.ts";
import { packWrite } from "../transport/packed-write.ts";
import { GroupCommit } from "./group-commit.ts";
import type { CallKind } from "./group-commit.ts";
import { eraseNext } from "./lmdb-doomed.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { lastEvent, readEvents } from "./lmdb-events.ts";
import { findHead, wholeHead } from "./lmdb-heads.ts";
import * as keyed from "./lmdb-keyed.ts";
import { PART, partKey } from "./lmdb-keys.ts";
import { list } from "./lmdb-listing.ts";
import { readLog } from "./lmdb-log.ts";
import { checkOwned, disown } from "./lmdb-owner.ts";
import { makeFolder, unwritable } from "./lmdb-path.ts";
import { decodeContext } from "./lmdb-rows.ts";
import * as runtimes from "./lmdb-runtimes.ts";
import * as sessions from "./lmdb-sessions.ts";
import type { CommitCounts } from "./store-counts.ts";
import type { AnswerStore, EventStore, KeyedTurnStore, RuntimeStore, SessionStore } from "./session-store.ts";

export interface LmdbStoreParts {
  readonly path: string;
  readonly readOnly: boolean;
  /** Of the owner; undefined when reading only. */
  readonly token: string | undefined;
  readonly onUnreadable: (error: StoreError) => void;
  readonly commits: CommitCounts | undefined;
}

export class LmdbStore implements SessionStore {
  readonly events: EventStore = {
    append: (write) => this.#write(() => sessions.addEvents(this.#env, write), "write", write.id),
    readFrom: (id, seq, limit) =>
      this.#read(() => {
        const head = findHead(this.#env, id);
        return head === undefined ? [] : readEvents(this.#env, id, head.number, seq, limit);
      }),
    last: (id, maxEpoch) =>
      this.#read(() => {
        const head = findHead(this.#env, id);
        return head && lastEvent(this.#env, id, head.number, maxEpoch);
      }),
  };
  readonly runtimes: RuntimeStore = {
    put: (id, state) => this.#write(() => runtimes.put(this.#env, id, state)),
    addInput: (id, input) => this.#write(() => runtimes.addInput(this.#env, id, input)),
    removeInputs: (id, inputIds) => this.#write(() => runtimes.removeInputs(this.#env, id, inputIds), "freeing"),
    remove: (id) => this.#write(() => runtimes.remove(this.#env, id), "freeing"),
    page: (from) => this.#read(() => runtimes.page(this.#env, from, this.#parts.onUnreadable)),
  };
  readonly keyedTurns: KeyedTurnStore = {
    find: (id, key, now) =>
      this.#read(() => {
        const head = findHead(this.#env, id);
        return head && keyed.findTurn(this.#env, head.number, id, key, now);
      }),
    keys: (id) =>
      this.#read(() => {
        const head = findHead(this.#env, id);
        return head === undefined ? [] : keyed.turnKeys(this.#env, head.number, id);
      }),
  };
  readonly answers: AnswerStore = {
    get: (key, now) => this.#read(() => keyed.getAnswer(this.#env, key, now)),
    put: (key, answer, now) => this.#write(() => keyed.putAnswer(this.#env, key, answer, now)),
    claim: (key, answer, now) => this.#write(() => keyed.claimAnswer(this.#env, key, answer, now)),
    remove: (key) => this.#write(() => keyed.removeAnswer(this.#env, key), "freeing"),
  };
  readonly #env: LmdbEnv;
  readonly #parts: LmdbStoreParts;
  readonly #group: GroupCommit;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(env: LmdbEnv, parts: LmdbStoreParts) {
    this.#env = env;
    this.#parts = parts;
    const begin = (): void => {
      if (parts.token !== undefined) checkOwned(env, parts.path, parts.token);
    };
    this.#group = new GroupCommit(env, begin, parts.commits);
    if (!parts.readOnly) this.#eraseLater();
  }

  create(session: NewSession): Promise<number> {
    return this.#replace(session.id, () => sessions.create(this.#env, session));
  }

  open(id: SessionId): Promise<{ head: SessionHead; messages: Message[] }> {
    return this.#claim(id, (isWritten) => sessions.open(this.#env, id, isWritten));
  }

  openPacked(id: SessionId): Promise<PackedSession> {
    return this.#claim(id, (isWritten) => sessions.openPacked(this.#env, id, isWritten));
  }

  fence(id: SessionId): Promise<SessionHead | undefined> {
    return this.#claim(id, (isWritten) => sessions.fence(this.#env, id, isWritten));
  }

  append(write: SessionWrite): Promise<void> {
    return this.#replace(write.id, () => sessions.writeTurn(this.#env, packWrite(write), "append"));
  }

  rewrite(write: SessionWrite): Promise<void> {
    return this.#replace(write.id, () => sessions.writeTurn(this.#env, packWrite(write), "rewrite"));
  }

  writePacked(write: PackedWrite, how: "append" | "rewrite"): Promise<void> {
    return this.#replace(write[0], () => sessions.writeTurn(this.#env, write, how));
  }

  head(id: SessionId): Promise<SessionHead | undefined> {
    return this.#read(() => {
      const head = findHead(this.#env, id);
      return head && wholeHead(this.#env, id, head);
    }, id);
  }

  messages(id: SessionId, offset: number, limit: number | undefined): Promise<Message[] | undefined> {
    return this.#read(() => {
      const head = findHead(this.#env, id);
      return head && readLog(this.#env, id, head, offset, limit ?? head.logLength);
    });
  }

  list(query: StoredQuery): Promise<StoredSummary[]> {
    return this.#read(() => list(this.#env, query, this.#parts.onUnreadable));
  }

  archive(id: SessionId, runningTicket: number | undefined): Promise<boolean> {
    return this.#write(() => sessions.archive(this.#env, id, runningTicket));
  }

  remove(id: SessionId): Promise<boolean> {
    const run = (): boolean => {
      const { wasThere, isLeft } = sessions.remove(this.#env, id);
      if (isLeft) this.#eraseLater();
      return wasThere;
    };
    return this.#replace(id, run, "freeing");
  }

  context(id: SessionId): Promise<StoredContext | undefined> {
    return this.#read(() => {
      const head = findHead(this.#env, id);
      const bytes = head && this.#env.get("parts", partKey(head.number, PART.context));
      return bytes && decodeContext(bytes, id);
    });
  }

  putContext(id: SessionId, context: StoredContext): Promise<void> {
    return this.#write(() => sessions.putContext(this.#env, id, context));
  }

  async backup(path: string): Promise<void> {
    if (this.#isClosed) throw closed();
    if (existsSync(path)) throw new StoreError("unwritable", `${path} exists already`, { path });
    try {
      makeFolder(path);
    } catch (error) {
      throw unwritable(path, error);
    }
    try {
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
    const { token, path } = this.#parts;
    try {
      if (token !== undefined) disown(this.#env, path, token);
    } catch {
      // A record that is left is one of a process that is gone, or of this one, which may take over.
    }
    await this.#env.close();
  }

  /** What fails here is tried again with the next removal, or when the store is opened again. */
  #eraseLater(): void {
    const erase = (): void => {
      if (eraseNext(this.#env)) this.#eraseLater();
    };
    setImmediate(() => {
      if (!this.#isClosed) this.#group.call("freeing", erase).catch(() => {});
    });
  }

  #read<T>(run: () => T, id?: SessionId): Promise<T> {
    return this.#isClosed ? Promise.reject(closed()) : this.#group.call("read", run, id);
  }

  /** @param id - the one session that the call is about */
  #write<T>(run: () => T, kind: CallKind = "write", id?: SessionId): Promise<T> {
    const { readOnly, path } = this.#parts;
    if (readOnly) return Promise.reject(new StoreError("unwritable", `the store in ${path} was opened for reading`, { path }));
    return this.#isClosed ? Promise.reject(closed()) : this.#group.call(kind, run, id);
  }

  /** A call that issues an epoch, which as a rule is not written (E3). */
  #claim<T>(id: SessionId, run: (isWritten: boolean) => T): Promise<T> {
    const isWritten = this.#env.epochs.isSpent;
    return this.#write(() => run(isWritten), isWritten ? "write" : "read", id);
  }

  /** A call that writes a session's head anew, and its epoch with it, or removes it (E2). */
  #replace<T>(id: SessionId, run: () => T, kind?: CallKind): Promise<T> {
    const written = this.#write(run, kind, id);
    const { epochs } = this.#env;
    const epoch = epochs.remembered(id);
    if (epoch === undefined) return written;
    return written.then((value) => {
      epochs.committed(id, epoch);
      return value;
    });
  }
}

const closed = (): StoreError => new StoreError("closed", "the store is closed");
