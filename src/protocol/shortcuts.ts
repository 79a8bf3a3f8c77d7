/**
 * Shortcuts past the schemas for the three things that are checked on every turn. Each takes the ordinary case, reads every member once
 * and gives exactly what the schema would make of it; for anything else it gives undefined, and the schema decides.
 *
 * A test compares each with its schema over random values. They exist because a parse costs as much as the rest of an admission
 * (docs/performance.md).
 */
import type { StartTurnRequest } from "./requests.ts";
import type { SessionSnapshot, Usage } from "./session-model.ts";
import type { RunResult } from "./views.ts";

/** A result as its schema gives it: the session's id is the host's to say. */
export type CheckedResult = Omit<RunResult, "sessionId">;

/** @returns a turn's request that is nothing but a prompt */
export function promptOnly(request: unknown): StartTurnRequest | undefined {
  if (!isRecord(request)) return undefined;
  for (const member in request) if (member !== "prompt") return undefined;
  // By name as well, as the schema reads them: a member may be inherited, or not enumerable.
  const { prompt, hostMode, skillReferences, onEvent, flowToolOverlay, additionalInstructions, executionKind, timeoutMs, onBusy } = request;
  if (request["idempotencyKey"] !== undefined) return undefined;
  if (hostMode !== undefined || skillReferences !== undefined || onEvent !== undefined || flowToolOverlay !== undefined) return undefined;
  if (additionalInstructions !== undefined || executionKind !== undefined || timeoutMs !== undefined || onBusy !== undefined)
    return undefined;
  return typeof prompt === "string" ? { prompt } : undefined;
}

/** @returns a result with text, counts and usage, and nothing structured */
export function ordinaryResult(result: unknown): CheckedResult | undefined {
  if (!isRecord(result)) return undefined;
  const { text, turns, toolCalls, usage: given, structuredOutput, schemaWarnings, skillDiagnostics } = result;
  if (structuredOutput !== undefined || schemaWarnings !== undefined || skillDiagnostics !== undefined) return undefined;
  const usage = ordinaryUsage(given);
  if (typeof text !== "string" || !isCount(turns) || !isCount(toolCalls) || usage === undefined) return undefined;
  return { text, turns, toolCalls, usage };
}

/** @returns a snapshot without a total of its own */
export function ordinarySnapshot(snapshot: unknown): SessionSnapshot | undefined {
  if (!isRecord(snapshot)) return undefined;
  const { createdAt, updatedAt, messageCount, totalTokens, usage: given, lastAssistantText, revision } = snapshot;
  const usage = ordinaryUsage(given);
  if (!isTime(createdAt) || !isTime(updatedAt) || !isCount(messageCount) || totalTokens !== undefined || usage === undefined)
    return undefined;
  if (revision !== undefined) return undefined;
  if (lastAssistantText === undefined) return { createdAt, updatedAt, messageCount, usage };
  return typeof lastAssistantText === "string" ? { createdAt, updatedAt, messageCount, usage, lastAssistantText } : undefined;
}

function ordinaryUsage(usage: unknown): Usage | undefined {
  if (!isRecord(usage)) return undefined;
  const { inputTokens, outputTokens, cacheCreationTokens, cacheReadTokens } = usage;
  if (cacheCreationTokens !== undefined || cacheReadTokens !== undefined) return undefined;
  return isCount(inputTokens) && isCount(outputTokens) ? { inputTokens, outputTokens } : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTime(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) >= 0;
}
