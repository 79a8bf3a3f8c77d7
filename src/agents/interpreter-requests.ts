/**
 * What peers ask of an interpreter in host mode: `{ intent: "run", params: programs }`, one program or a list, run in their order in a
 * sandbox of their own, which is gone afterwards: no request sees what another left, nor the globals of the session.
 *
 * The answer is a `peer_response`: "completed" with the programs' texts, or "failed" with the index of the one that failed and its error.
 * What is no such request is answered "failed", or, where nobody waits for an answer, left alone.
 */
import { setImmediate as immediate } from "node:timers/promises";

import type { Interaction, TurnContext } from "../agent.ts";
import { loadSandboxModule, Sandbox, SandboxError } from "./sandbox.ts";

/** Milliseconds a request may take: whoever sent it does not keep the session from its other peers. */
export const REQUEST_MAX_MS = 60_000;

type Request = Extract<Interaction, { kind: "peer_request" }>;
type Answer =
  | { readonly status: "completed"; readonly result: string[] }
  | { readonly status: "failed"; readonly result: { readonly index?: number; readonly error: string } };

/** @returns what the transcript says was done. Rejects when the turn is interrupted */
export async function answerInteraction(turn: TurnContext, interaction: Interaction): Promise<string> {
  if (interaction.kind !== "peer_request") return "not a request";
  const answer = await answerOf(turn, interaction);
  try {
    await tell(turn, interaction, answer);
  } catch (error) {
    turn.throwIfInterrupted();
    const problem = error instanceof Error ? error.message : String(error);
    await tell(turn, interaction, { status: "failed", result: { error: `the answer cannot be sent: ${problem}` } }).catch(() => {});
    return `not told: ${problem}`; // one that is gone is no reason to stop serving the others
  }
  return answer.status === "completed" ? `ran ${answer.result.length}` : `failed: ${answer.result.error}`;
}

async function tell(turn: TurnContext, { from, id }: Request, { status, result }: Answer): Promise<void> {
  await turn.comms?.send({ kind: "peer_response", to: from, inReplyTo: id, status, result });
}

async function answerOf(turn: TurnContext, { intent, params }: Request): Promise<Answer> {
  if (intent !== "run") return { status: "failed", result: { error: `unknown intent: ${intent}` } };
  const programs = typeof params === "string" ? [params] : params;
  if (!isTexts(programs)) return { status: "failed", result: { error: "params must be a program or a list of programs" } };
  const sandbox = await Sandbox.create(await loadSandboxModule());
  try {
    return await run(turn, sandbox, programs);
  } finally {
    sandbox.dispose();
  }
}

async function run(turn: TurnContext, sandbox: Sandbox, programs: readonly string[]): Promise<Answer> {
  const endMs = performance.now() + REQUEST_MAX_MS;
  const isInterrupted = (): boolean => turn.isInterrupted() || performance.now() > endMs;
  const result: string[] = [];
  for (const program of programs) {
    await immediate(); // others share this lane
    turn.throwIfInterrupted();
    try {
      result.push(sandbox.run(program, { write: () => {}, isInterrupted }));
    } catch (error) {
      turn.throwIfInterrupted();
      if (!(error instanceof SandboxError)) throw error;
      return { status: "failed", result: { index: result.length, error: error.message } };
    }
  }
  return { status: "completed", result };
}

const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((member) => typeof member === "string");

/** Whether a user message is an interaction as host mode writes it (docs/comms.md): it is no program. */
export function isInteraction(content: string): boolean {
  return /^\[(?:MESSAGE|REQUEST|RESPONSE|EVENT) [^\n]*\](?:\n|$)/.test(content);
}
