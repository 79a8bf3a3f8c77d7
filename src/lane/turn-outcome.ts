/** How a run ended, and how that is said to main. */
import type { WireError } from "../protocol/errors.ts";
import type { FailedReport, LaneTimes, ResultExtras, ResultReport, TurnBoundary } from "../protocol/frames.ts";
import { REPORTS } from "../protocol/frames.ts";
import type { CheckedResult } from "../protocol/shortcuts.ts";
import { ordinaryResult } from "../protocol/shortcuts.ts";
import { RunResultSchema } from "../protocol/views.ts";
import { AgentError, turnFailure } from "./agent-errors.ts";

export type Outcome = { ok: true; result: CheckedResult; boundary?: TurnBoundary } | { ok: false; error: WireError };

/** @returns the agent's result as an outcome; something that is not one fails with invalid_result, naming the member */
export function outcomeOf(result: unknown): Outcome {
  let problem: string;
  try {
    const ordinary = ordinaryResult(result);
    if (ordinary !== undefined) return { ok: true, result: ordinary };
    const parsed = RunResultSchema.safeParse(result);
    if (parsed.success) return { ok: true, result: parsed.data as CheckedResult };
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

/** @param lastText - the session's last assistant text after the turn. @param times - if they were asked for */
export function resultReport(
  slot: number,
  generation: number,
  word: number,
  { result, boundary }: Extract<Outcome, { ok: true }>,
  lastText: string | undefined,
  times: LaneTimes | undefined,
): Sized<ResultReport> {
  const { text, turns, toolCalls, usage } = result;
  const report: ResultReport = [REPORTS.RESULT.op, slot, generation, word, text, turns, toolCalls, usage.inputTokens, usage.outputTokens];
  const extras = extrasOf(result, boundary, times);
  if (extras !== undefined || lastText !== text) report.push(lastText === text ? undefined : (lastText ?? ""));
  if (extras !== undefined) report.push(extras);
  return { report, bytes: text.length + (boundary?.snapshot.length ?? 0) };
}

function extrasOf(
  { usage, structuredOutput, schemaWarnings, skillDiagnostics }: CheckedResult,
  boundary: TurnBoundary | undefined,
  times: LaneTimes | undefined,
): ResultExtras | undefined {
  const hasUsage = usage.cacheCreationTokens !== undefined || usage.cacheReadTokens !== undefined;
  const hasRest = structuredOutput !== undefined || schemaWarnings !== undefined || skillDiagnostics !== undefined;
  if (!hasUsage && !hasRest && boundary === undefined && times === undefined) return undefined;
  return {
    ...(times && { times }),
    ...(boundary && { boundary }),
    ...(hasUsage && { usage }),
    ...(hasRest && {
      rest: {
        ...(structuredOutput !== undefined && { structuredOutput }),
        ...(schemaWarnings !== undefined && { schemaWarnings }),
        ...(skillDiagnostics !== undefined && { skillDiagnostics }),
      },
    }),
  };
}

/** @param lastText - undefined when unknown, "" when there is none. @param times - if they were asked for */
export function failedReport(
  slot: number,
  generation: number,
  word: number,
  error: WireError,
  lastText: string | undefined,
  times: LaneTimes | undefined,
): Sized<FailedReport> {
  const report: FailedReport = [REPORTS.FAILED.op, slot, generation, word, error, lastText];
  if (times !== undefined) report.push(undefined, times);
  return { report, bytes: lastText?.length ?? 0 };
}
