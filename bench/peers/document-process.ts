/** Sessions in a process of their own, which can be killed and started again; the store is what both have in common. */
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { open } from "lmdb";

import { sessionId, transcript } from "./stored-sessions.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const WORKER = fileURLToPath(new URL("./document-process-worker.js", import.meta.url));

export interface DocumentProcess {
  readonly ids: readonly string[];
  /** Rejects when the process ends before it is answered. */
  readonly turn: (id: string, prompt: string) => Promise<string>;
  /** Kill the process and start another. */
  readonly kill: () => void;
  readonly close: () => Promise<void>;
}

export async function openDocumentProcess(count: number, messages: number): Promise<DocumentProcess> {
  const folder = await temporaryFolder();
  const path = join(folder.path, "documents");
  const ids = Array.from({ length: count }, (_, n) => sessionId(n));
  await laySessions(path, ids, messages);
  const waiting = new Map<number, { resolve: (text: string) => void; reject: (error: Error) => void }>();
  let calls = 0;
  const start = (): ChildProcess => {
    const started = fork(WORKER, [path], { serialization: "advanced" });
    started.on("message", ([call, text]: [number, string]) => {
      waiting.get(call)?.resolve(text);
      waiting.delete(call);
    });
    return started;
  };
  let child = start();
  return {
    ids,
    turn: (id, prompt) =>
      new Promise((resolve, reject) => {
        waiting.set(++calls, { resolve, reject });
        child.send([calls, id, prompt]);
      }),
    kill: () => {
      child.kill("SIGKILL");
      const lost = [...waiting.values()];
      waiting.clear();
      child = start();
      for (const { reject } of lost) reject(new Error("the process was killed"));
    },
    close: async () => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      await folder.remove();
    },
  };
}

async function laySessions(path: string, ids: readonly string[], messages: number): Promise<void> {
  const db = open<Buffer, string>({ path, encoding: "binary" });
  const laid = transcript(messages);
  for (const id of ids) void db.put(id, Buffer.from(JSON.stringify({ id, messages: laid })));
  await db.flushed;
  await db.close();
}
