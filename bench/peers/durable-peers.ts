/**
 * What one would keep sessions in without Warren: each does a turn's work (prompt in, the same text out), keeps both messages, and
 * answers when they are on disk. All of it happens in the thread that calls, which costs no message; calls that come together share a
 * transaction and its flush.
 */
import { join } from "node:path";

import type { RootDatabase } from "lmdb";
import { open } from "lmdb";
import { Packr } from "msgpackr";

import type { Message } from "../../src/index.ts";
import { pickFastest } from "./fastest.ts";
import type { Lengths } from "./stored-sessions.ts";
import { sessionId, transcript, turnMessages } from "./stored-sessions.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface DurablePeer {
  readonly setup?: string;
  /** Sessions by the order of the lengths it was opened with. */
  readonly ids: readonly (readonly string[])[];
  /** Resolves when the turn is on disk. */
  readonly turn: (id: string, prompt: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

interface Kept {
  readonly id: string;
  readonly createdAt: number;
  updatedAt: number;
  messages: Message[];
}

const packr = new Packr({ useRecords: false });
const ENCODINGS = { JSON: (session: Kept) => Buffer.from(JSON.stringify(session)), msgpack: (session: Kept) => packr.pack(session) };
const TRIAL_TURNS = 64;

/** @returns ids of sessions of these lengths */
export function idsOf(lengths: Lengths): string[][] {
  let next = 0;
  return lengths.map(({ sessions }) => Array.from({ length: sessions }, () => sessionId(next++)));
}

/** As the seeds do: sessions live in memory, and the whole of one is encoded and put under its id at every turn. */
export async function openDocumentStore(lengths: Lengths): Promise<DurablePeer> {
  const ids = idsOf(lengths);
  const { peer, setup } = await pickFastest(
    ENCODINGS,
    (encode) => openDocuments(lengths, ids, encode),
    async ({ turn }) => {
      const longest = ids.at(-1) ?? [];
      const startedAt = performance.now();
      await Promise.all(longest.slice(0, TRIAL_TURNS).map((id) => turn(id, "trial")));
      return -(performance.now() - startedAt);
    },
  );
  return { ...peer, setup: `lmdb, ${setup}` };
}

async function openDocuments(lengths: Lengths, ids: string[][], encode: (session: Kept) => Buffer): Promise<DurablePeer> {
  const { db, close } = await openLmdb();
  const sessions = new Map<string, Kept>();
  const nowMs = Date.now();
  for (const [index, { messages }] of lengths.entries()) {
    const laid = transcript(messages);
    for (const id of ids[index] ?? []) sessions.set(id, { id, createdAt: nowMs, updatedAt: nowMs, messages: [...laid] });
  }
  return {
    ids,
    turn: async (id, prompt) => {
      const session = sessions.get(id) as Kept;
      session.messages.push(...turnMessages(prompt));
      session.updatedAt = Date.now();
      await putFlushed(db, id, encode(session));
      return prompt;
    },
    close,
  };
}

/** A turn's two messages put under the next key of its session, and nothing else: no session to look up, no head, no check. */
export async function openBareLmdb(lengths: Lengths): Promise<DurablePeer> {
  const { db, close } = await openLmdb();
  const ids = idsOf(lengths);
  const next = new Map<string, number>();
  const laid = transcript(2);
  // Log of the same depth: what was laid down lies in rows of many messages.
  for (const [index, { messages }] of lengths.entries()) {
    const row = packr.pack(transcript(Math.min(messages, 100)));
    for (const id of ids[index] ?? []) {
      for (let at = 0; at < messages; at += 100) void db.put(`${id}/${keyOf(at)}`, row);
      next.set(id, messages);
    }
    await db.flushed;
  }
  return {
    ids,
    turn: async (id, prompt) => {
      const index = next.get(id) as number;
      next.set(id, index + laid.length);
      await putFlushed(db, `${id}/${keyOf(index)}`, packr.pack(turnMessages(prompt)));
      return prompt;
    },
    close,
  };
}

const keyOf = (index: number): string => String(index).padStart(8, "0");

type Lmdb = RootDatabase<Buffer, string>;

async function openLmdb(): Promise<{ db: Lmdb; close: () => Promise<void> }> {
  const folder = await temporaryFolder();
  const db: Lmdb = open<Buffer, string>({ path: join(folder.path, "peer"), encoding: "binary" });
  return {
    db,
    close: async () => {
      await db.close();
      await folder.remove();
    },
  };
}

/** The package gathers puts into transactions, which it writes in a thread of its own. */
async function putFlushed(db: Lmdb, key: string, value: Buffer): Promise<void> {
  await db.put(key, value);
  await db.flushed;
}
