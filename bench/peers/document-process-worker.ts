/**
 * Sessions in a process of their own, each saved whole at every turn: asked for one that it does not hold, it reads it from the store.
 * `process.argv[2]` is the folder.
 */
import { open } from "lmdb";

import type { Message } from "../../src/index.ts";
import { turnMessages } from "./stored-sessions.ts";

type Request = readonly [call: number, id: string, prompt: string];

const db = open<Buffer, string>({ path: process.argv[2] as string, encoding: "binary" });
const sessions = new Map<string, { id: string; messages: Message[] }>();

async function turn([call, id, prompt]: Request): Promise<void> {
  let session = sessions.get(id);
  if (session === undefined) {
    session = JSON.parse(String(db.get(id))) as { id: string; messages: Message[] };
    sessions.set(id, session);
  }
  session.messages.push(...turnMessages(prompt));
  await db.put(id, Buffer.from(JSON.stringify(session)));
  await db.flushed;
  process.send?.([call, prompt]);
}

process.on("message", (request: Request) => void turn(request));
process.on("disconnect", () => process.exit(0));
