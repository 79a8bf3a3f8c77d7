/**
 * Shortcuts past the schemas for what is checked on every turn and at every wake-up. Each takes the ordinary case, reads every member once
 * and gives exactly what the schema would make of it; for anything else it gives undefined, and the schema decides.
 *
 * A test compares each with its schema over random values. They exist because a parse costs as much as the rest of an admission
 * (docs/performance.md).
 */
import { SESSION_ID_MAX } from "./ids.ts";
import { LIST_MAX } from "./list.ts";
import type { StartTurnRequest } from "./requests.ts";
import { STOP_REASONS, Session } from "./session-model.ts";
import type { Message, SessionSnapshot, StopReason, Usage } from "./session-model.ts";
import { isCount, isTime } from "./shapes.ts";
import type { RunResult } from "./views.ts";

/** A result as its schema gives it: the session's id is the host's to say. */
export type CheckedResult = Omit<RunResult, "sessionId">;

/** @returns a turn's request that is nothing but a prompt */
export function promptOnly(request: unknown): StartTurnRequest | undefined {
  if (!isObject(request)) return undefined;
  for (const member in request) if (member !== "prompt") return undefined;
  // By name as well, as the schema reads them: a member may be inherited, or not enumerable.
  const { prompt, hostMode, skillReferences, onEvent, flowToolOverlay, additionalInstructions, executionKind, timeoutMs, onBusy } = request;
  if (request["idempotencyKey"] !== undefined || request["preTurnContextAppends"] !== undefined) return undefined;
  if (request["idempotencyScope"] !== undefined) return undefined;
  if (hostMode !== undefined || skillReferences !== undefined || onEvent !== undefined || flowToolOverlay !== undefined) return undefined;
  if (additionalInstructions !== undefined || executionKind !== undefined || timeoutMs !== undefined || onBusy !== undefined)
    return undefined;
  return typeof prompt === "string" ? { prompt } : undefined;
}

/** @returns a result with text, counts and usage, and nothing structured */
export function ordinaryResult(result: unknown): CheckedResult | undefined {
  if (!isObject(result)) return undefined;
  const { text, turns, toolCalls, usage: given, structuredOutput, schemaWarnings, skillDiagnostics } = result;
  if (structuredOutput !== undefined || schemaWarnings !== undefined || skillDiagnostics !== undefined) return undefined;
  const usage = ordinaryUsage(given);
  if (typeof text !== "string" || !isCount(turns) || !isCount(toolCalls) || usage === undefined) return undefined;
  return { text, turns, toolCalls, usage };
}

/** @returns a snapshot without a total of its own */
export function ordinarySnapshot(snapshot: unknown): SessionSnapshot | undefined {
  if (!isObject(snapshot)) return undefined;
  const { createdAt, updatedAt, messageCount, totalTokens, usage: given, lastAssistantText, revision } = snapshot;
  const usage = ordinaryUsage(given);
  if (!isTime(createdAt) || !isTime(updatedAt) || !isCount(messageCount) || totalTokens !== undefined || usage === undefined)
    return undefined;
  if (revision !== undefined) return undefined;
  if (lastAssistantText === undefined) return { createdAt, updatedAt, messageCount, usage };
  return typeof lastAssistantText === "string" ? { createdAt, updatedAt, messageCount, usage, lastAssistantText } : undefined;
}

/** @returns a session of ordinary messages */
export function ordinarySession(session: unknown): Session | undefined {
  if (!isObject(session)) return undefined;
  const { version, id, messages: given, createdAt, updatedAt, metadata: data, usage: counts } = session;
  if (version !== 1 || typeof id !== "string" || id === "" || id.length > SESSION_ID_MAX || !isTime(createdAt) || !isTime(updatedAt))
    return undefined;
  const messages = ordinaryMessages(given);
  const usage = ordinaryUsage(counts);
  if (messages === undefined || usage === undefined) return undefined;
  const metadata = Session.shape.metadata.safeParse(data);
  return metadata.success ? { version, id, messages, createdAt, updatedAt, metadata: metadata.data, usage } : undefined;
}

/** @returns messages that are nothing but texts of the system, of users and of assistants */
export function ordinaryMessages(messages: unknown): Message[] | undefined {
  if (!Array.isArray(messages) || messages.length > LIST_MAX) return undefined;
  const checked: Message[] = [];
  for (let index = 0; index < messages.length; index++) {
    const message = ordinaryMessage(messages[index]);
    if (message === undefined) return undefined;
    checked.push(message);
  }
  return checked;
}

function ordinaryMessage(message: unknown): Message | undefined {
  if (!isObject(message)) return undefined;
  const { role, content } = message;
  if (typeof content !== "string") return undefined;
  if (role === "user" || role === "system") return { role, content };
  if (role !== "assistant") return undefined;
  const { toolCalls, stopReason, usage: given } = message;
  if (!Array.isArray(toolCalls) || toolCalls.length > 0 || !isStopReason(stopReason)) return undefined;
  const usage = ordinaryUsage(given);
  return usage && { role, content, toolCalls: [], stopReason, usage };
}

function ordinaryUsage(usage: unknown): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const { inputTokens, outputTokens, cacheCreationTokens, cacheReadTokens } = usage;
  if (!isCount(inputTokens) || !isCount(outputTokens)) return undefined;
  const counts: Usage = { inputTokens, outputTokens };
  if (cacheCreationTokens !== undefined) {
    if (!isCount(cacheCreationTokens)) return undefined;
    counts.cacheCreationTokens = cacheCreationTokens;
  }
  if (cacheReadTokens !== undefined) {
    if (!isCount(cacheReadTokens)) return undefined;
    counts.cacheReadTokens = cacheReadTokens;
  }
  return counts;
}

const STOPS: ReadonlySet<unknown> = new Set(STOP_REASONS);
const isStopReason = (value: unknown): value is StopReason => STOPS.has(value);

/** As the schemas take it: what members are asked of, be it of a class. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
