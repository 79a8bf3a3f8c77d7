/**
 * SQLite as one would use it here: write-ahead log, every commit flushed, a row for a turn's messages behind the others of its session
 * and a row for the session itself. Calls that come together share a transaction; the thread that calls runs it, which costs no message.
 */
import { createRequire } from "node:module";
import { join } from "node:path";

import type { DatabaseSyncInstance } from "@photostructure/sqlite";

import type { DurablePeer } from "./durable-peers.ts";
import { idsOf } from "./durable-peers.ts";
import type { Lengths } from "./stored-sessions.ts";
import { TEXT, turnMessages } from "./stored-sessions.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const TABLES = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA cache_size = -262144;
  PRAGMA wal_autocheckpoint = 16000;
  CREATE TABLE sessions (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, updated_at INTEGER NOT NULL, messages INTEGER NOT NULL);
  CREATE TABLE log (session INTEGER, first INTEGER, body TEXT NOT NULL, PRIMARY KEY (session, first)) WITHOUT ROWID;
`;

interface Turn {
  readonly id: string;
  readonly prompt: string;
  readonly resolve: (text: string) => void;
  readonly reject: (error: unknown) => void;
}

/** Node's own module where it has one; the same interface from a package where not. */
function openDatabase(path: string): { db: DatabaseSyncInstance; from: string } {
  const require = createRequire(import.meta.url);
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const from = major > 22 || (major === 22 && minor >= 13) ? "node:sqlite" : "@photostructure/sqlite";
  const module = require(from) as typeof import("@photostructure/sqlite");
  return { db: new module.DatabaseSync(path), from };
}

export async function openSqliteStore(lengths: Lengths): Promise<DurablePeer> {
  const folder = await temporaryFolder();
  const { db, from } = openDatabase(join(folder.path, "sessions.db"));
  db.exec(TABLES);
  const { version } = db.prepare("SELECT sqlite_version() AS version").get() as { version: string };
  const insertSession = db.prepare("INSERT INTO sessions VALUES (?, ?, ?, ?)");
  const insertRow = db.prepare("INSERT INTO log VALUES (?, ?, ?)");
  const updateSession = db.prepare("UPDATE sessions SET updated_at = ?, messages = ? WHERE number = ?");

  const ids = idsOf(lengths);
  const sessions = new Map<string, { number: number; messages: number }>();
  const laid = JSON.stringify(turnMessages(TEXT));
  db.exec("BEGIN");
  for (const [index, { messages }] of lengths.entries()) {
    for (const id of ids[index] ?? []) {
      const number = sessions.size + 1;
      insertSession.run(number, id, Date.now(), messages);
      for (let first = 0; first < messages; first += 2) insertRow.run(number, first, laid);
      sessions.set(id, { number, messages });
    }
  }
  db.exec("COMMIT");

  let waiting: Turn[] = [];
  const runAll = (): void => {
    const turns = waiting;
    waiting = [];
    try {
      db.exec("BEGIN IMMEDIATE");
      for (const { id, prompt } of turns) {
        const session = sessions.get(id) as { number: number; messages: number };
        insertRow.run(session.number, session.messages, JSON.stringify(turnMessages(prompt)));
        session.messages += 2;
        updateSession.run(Date.now(), session.messages, session.number);
      }
      db.exec("COMMIT");
      for (const { prompt, resolve } of turns) resolve(prompt);
    } catch (error) {
      for (const { reject } of turns) reject(error);
    }
  };
  return {
    setup: `${from}, SQLite ${version}, WAL, synchronous FULL`,
    ids,
    turn: (id, prompt) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(runAll);
        waiting.push({ id, prompt, resolve, reject });
      }),
    close: async () => {
      db.close();
      await folder.remove();
    },
  };
}
