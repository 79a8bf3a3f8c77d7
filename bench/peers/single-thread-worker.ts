/**
 * A host of one thread, as one would write it: every session in a map, every agent an async function in the same thread.
 * The agent is the one that Warren's lanes run; its hog stops by itself, because nobody else could stop it.
 */
import { parentPort } from "node:worker_threads";

import type { CallRequest, CallResult } from "./call-peer.ts";
import { answer } from "./call-peer.ts";

/** A prompt that asks for a busy loop of so many milliseconds. */
const HOG = /^hog (\d+)$/;

interface HostedSession {
  readonly messages: { role: "user" | "assistant"; content: string }[];
}
const sessions = new Map<string, HostedSession>();

async function agent(prompt: string): Promise<string> {
  const hogMs = Number(HOG.exec(prompt)?.[1] ?? 0);
  for (const endsAt = performance.now() + hogMs; performance.now() < endsAt;);
  return prompt;
}

async function runTurn(request: CallRequest): Promise<CallResult> {
  let session = sessions.get(request.sessionId);
  if (session === undefined) sessions.set(request.sessionId, (session = { messages: [] }));
  session.messages.push({ role: "user", content: request.prompt });
  const text = await agent(request.prompt);
  session.messages.push({ role: "assistant", content: text });
  return { ...answer(request), text };
}

parentPort?.on("message", ({ id, request }: { id: number; request: CallRequest }) => {
  void runTurn(request).then((result) => parentPort?.postMessage({ id, result })); // the agent never throws
});
