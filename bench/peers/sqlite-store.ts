/**
 * SQLite as one would use it here: write-ahead log, every commit flushed, a row for a turn's messages behind the others of its session
 * and a row for the session itself. Calls that come together share a transaction; the thread that calls runs it, which costs no message.
 */
import { createRequire } from "node:module";
import { join } from "node:path";

import type * as sqlite from "@photostructure/sqlite";

import type { DurablePeer } from "./durable-peers.ts";
import { idsOf } from "./durable-peers.ts";
import type { Lengths } from "./stored-sessions.ts";
import { TEXT, turnMessages } from "./stored-sessions.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const SET_UP = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA cache_size = -262144;
  PRAGMA wal_autocheckpoint = 16000;
  CREATE TABLE IF NOT EXISTS sessions (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, updated_at INTEGER NOT NULL, messages INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS log (session INTEGER, first INTEGER, body TEXT NOT NULL, PRIMARY KEY (session, first)) WITHOUT ROWID;
`;

interface Turn {
  readonly id: string;
  readonly prompt: string;
  readonly resolve: (text: string) => void;
  readonly reject: (error: unknown) => void;
}
interface Row {
  readonly number: number;
  messages: number;
}

export class SqliteStore {
  readonly setup: string;
  readonly #db: sqlite.DatabaseSyncInstance;
  readonly #insertSession: sqlite.StatementSyncInstance;
  readonly #insertRow: sqlite.StatementSyncInstance;
  readonly #updateSession: sqlite.StatementSyncInstance;
  readonly #findSession: sqlite.StatementSyncInstance;
  /** Rows that were looked up: nobody else writes them. */
  readonly #sessions = new Map<string, Row>();
  #waiting: Turn[] = [];

  /** @param folder - of the database, which is made if it is not there */
  constructor(folder: string) {
    // Node's own module where it has one; the same interface from a package where not.
    const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
    const from = major > 22 || (major === 22 && minor >= 13) ? "node:sqlite" : "@photostructure/sqlite";
    const { DatabaseSync } = createRequire(import.meta.url)(from) as typeof sqlite;
    this.#db = new DatabaseSync(join(folder, "sessions.db"));
    this.#db.exec(SET_UP);
    const { version } = this.#db.prepare("SELECT sqlite_version() AS version").get() as { version: string };
    this.setup = `${from}, SQLite ${version}, WAL, synchronous FULL`;
    this.#insertSession = this.#db.prepare("INSERT INTO sessions VALUES (?, ?, ?, ?)");
    this.#insertRow = this.#db.prepare("INSERT INTO log VALUES (?, ?, ?)");
    this.#updateSession = this.#db.prepare("UPDATE sessions SET updated_at = ?, messages = ? WHERE number = ?");
    this.#findSession = this.#db.prepare("SELECT number, messages FROM sessions WHERE id = ?");
  }

  /** @returns ids of the sessions, by the order of the lengths */
  lay(lengths: Lengths): string[][] {
    const ids = idsOf(lengths);
    const body = JSON.stringify(turnMessages(TEXT));
    let number = 0;
    this.#transaction(() => {
      for (const [index, { messages }] of lengths.entries()) {
        for (const id of ids[index] ?? []) {
          this.#insertSession.run(++number, id, Date.now(), messages);
          for (let first = 0; first < messages; first += 2) this.#insertRow.run(number, first, body);
        }
      }
    });
    return ids;
  }

  readonly turn = (id: string, prompt: string): Promise<string> =>
    new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#runAll());
      this.#waiting.push({ id, prompt, resolve, reject });
    });

  page(limit: number): unknown[] {
    return this.#db.prepare("SELECT * FROM sessions ORDER BY id LIMIT ?").all(limit);
  }

  close(): void {
    this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#db.close();
  }

  #runAll(): void {
    const turns = this.#waiting;
    this.#waiting = [];
    try {
      this.#transaction(() => {
        for (const { id, prompt } of turns) {
          const session = this.#find(id);
          this.#insertRow.run(session.number, session.messages, JSON.stringify(turnMessages(prompt)));
          session.messages += 2;
          this.#updateSession.run(Date.now(), session.messages, session.number);
        }
      });
      for (const { prompt, resolve } of turns) resolve(prompt);
    } catch (error) {
      for (const { reject } of turns) reject(error);
    }
  }

  #find(id: string): Row {
    let session = this.#sessions.get(id);
    if (session === undefined) {
      session = { ...(this.#findSession.get(id) as unknown as Row) };
      this.#sessions.set(id, session);
    }
    return session;
  }

  #transaction(run: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    run();
    this.#db.exec("COMMIT");
  }
}

export async function openSqliteStore(lengths: Lengths): Promise<DurablePeer> {
  const folder = await temporaryFolder();
  const store = new SqliteStore(folder.path);
  return {
    setup: store.setup,
    ids: store.lay(lengths),
    turn: store.turn,
    close: async () => {
      store.close();
      await folder.remove();
    },
  };
}
