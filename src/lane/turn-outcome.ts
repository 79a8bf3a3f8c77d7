/** How a run ended, and how that is said to main. */
import type { WireError } from "../protocol/errors.ts";
import type { FailedReport, ResultReport } from "../protocol/frames.ts";
import { REPORTS } from "../protocol/frames.ts";
import type { RunResult } from "../protocol/views.ts";
import { RunResultSchema } from "../protocol/views.ts";
import { AgentError, turnFailure } from "./agent-errors.ts";

export type Outcome = { ok: true; result: RunResult } | { ok: false; error: WireError };

/** @returns the agent's result as an outcome; something that is not one fails with invalid_result, naming the member */
export function outcomeOf(result: unknown): Outcome {
  let problem: string;
  try {
    const parsed = RunResultSchema.safeParse(result);
    if (parsed.success) return { ok: true, result: parsed.data as RunResult };
    const issue = parsed.error.issues[0];
    problem = `${issue?.path.map(String).join(".") || "it"}: ${issue?.message ?? "invalid"}`;
  } catch {
    problem = "it cannot be read"; // a getter or a proxy that throws
  }
  return { ok: false, error: turnFailure(new AgentError("invalid_result", `the agent's result is not one: ${problem}`)) };
}

/** @returns the failure under the kind that says where it happened, unless the agent named a kind itself */
export function asKind(error: WireError, kind: string): WireError {
  if (error.agentError === undefined || error.agentError.kind !== "internal_error") return error;
  return { ...error, agentError: { ...error.agentError, kind } };
}

/** A report and the rough size of its payload in bytes. */
type Sized<R> = { report: R; bytes: number };

/** @param lastText - the session's last assistant text after the turn */
export function resultReport(
  slot: number,
  generation: number,
  ticket: number,
  result: RunResult,
  lastText: string | undefined,
): Sized<ResultReport> {
  const { text, turns, toolCalls, usage, sessionId: _, ...rest } = result;
  const extras = Object.keys(rest).length === 0 ? undefined : rest;
  const tokens =
    usage.cacheCreationTokens === undefined && usage.cacheReadTokens === undefined
      ? [usage.inputTokens, usage.outputTokens]
      : [usage.inputTokens, usage.outputTokens, usage.cacheCreationTokens, usage.cacheReadTokens];
  const shownText = lastText === text ? undefined : (lastText ?? "");
  return { report: [REPORTS.RESULT.op, slot, generation, ticket, text, turns, toolCalls, tokens, shownText, extras], bytes: text.length };
}

/** @param lastText - undefined when unknown, "" when there is none */
export function failedReport(
  slot: number,
  generation: number,
  ticket: number,
  error: WireError,
  lastText: string | undefined,
): Sized<FailedReport> {
  return { report: [REPORTS.FAILED.op, slot, generation, ticket, error, lastText], bytes: lastText?.length ?? 0 };
}
