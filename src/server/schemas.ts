/**
 * What crosses HTTP, as schemas: requests are checked by them and the OpenAPI document follows from them. They describe JSON that was
 * parsed; the library's own schemas (protocol/requests.ts), which the requests meet behind them, hold for values of any origin. A test
 * holds both to the same members.
 */
import { z } from "@hono/zod-openapi";

import { SESSION_ID_MAX } from "../protocol/ids.ts";

const json = z.unknown().openapi({ description: "any JSON" });
/** Any object, passed on as it is: the library looks at its members, `__proto__` among them, which a schema would leave out in silence. */
const object = z.unknown().openapi({ type: "object", additionalProperties: true });
const count = z.int().nonnegative();
const timeMs = z.number().openapi({ description: "epoch milliseconds" });
const MS_MAX = 2_147_483_647;

export const Labels = z.record(z.string(), z.string()).openapi("Labels");
/** As asked for; the library checks it. */
const NewLabels = z.unknown().openapi({
  type: "object",
  additionalProperties: { type: "string", maxLength: 4096 },
  maxProperties: 64,
  description: 'names have 1 to 256 characters; those that begin with "warren." are the server\'s',
});

// ── requests ──

const SkillKey = z.strictObject({ sourceUuid: z.string(), skillName: z.string() });
const ToolOverlay = z.strictObject({ allowedTools: z.array(z.string()).optional(), blockedTools: z.array(z.string()).optional() });
const ResourceLimits = z.strictObject({
  maxOldGenerationSizeMb: z.number().positive().optional(),
  maxYoungGenerationSizeMb: z.number().positive().optional(),
  stackSizeMb: z.number().positive().optional(),
});
const PendingAppend = z.strictObject({
  text: z.string(),
  source: z.string().optional(),
  idempotencyKey: z.string().min(1).optional(),
  acceptedAt: z.number().nonnegative().optional(),
});

const cancelOnDisconnect = z
  .boolean()
  .optional()
  .openapi({ description: "interrupt the turn when this connection ends before its answer. Default false: a turn outlives its caller" });

export const CreateSessionBody = z
  .strictObject({
    prompt: z.string().optional().openapi({ description: 'of the first turn; needed unless initialTurn is "defer"' }),
    agent: z.string().min(1).optional(),
    model: z.string().optional(),
    systemPrompt: z.string().optional(),
    maxTokens: z.int().positive().optional(),
    initialTurn: z.enum(["run_immediately", "defer"]).optional(),
    hostMode: z.boolean().optional(),
    labels: NewLabels.optional(),
    skillReferences: z.array(SkillKey).optional(),
    isolation: z.enum(["shared", "dedicated"]).optional(),
    resourceLimits: ResourceLimits.optional(),
    build: object.optional().openapi({ description: "any JSON members; they reach the agent's builder" }),
    cancelOnDisconnect,
  })
  .openapi("CreateSessionRequest");

export const StartTurnBody = z
  .strictObject({
    prompt: z.string(),
    hostMode: z.boolean().optional(),
    skillReferences: z.array(SkillKey).optional(),
    flowToolOverlay: ToolOverlay.optional(),
    additionalInstructions: z.array(z.string()).optional(),
    executionKind: z.enum(["content_turn", "resume_pending"]).optional(),
    preTurnContextAppends: z.array(PendingAppend).optional(),
    timeoutMs: z.number().positive().max(MS_MAX).optional().openapi({ description: "milliseconds until the turn is interrupted" }),
    onBusy: z
      .enum(["reject", "enqueue", "interrupt", "rollback", "latest", "merge"])
      .optional()
      .openapi({ description: 'what to do when another turn runs. Default "reject": SESSION_BUSY' }),
    cancelOnDisconnect,
  })
  .openapi("StartTurnRequest");

export const InterruptBody = z
  .strictObject({ ticket: z.int().positive().optional().openapi({ description: "only that turn" }) })
  .openapi("InterruptRequest");

export const SystemContextBody = z
  .strictObject({ text: z.string(), source: z.string().optional(), idempotencyKey: z.string().min(1).max(1024).optional() })
  .openapi("AppendSystemContextRequest");

export const ForkBody = z
  .strictObject({
    messages: count.optional().openapi({ description: "how many of the first messages to keep. Default: all" }),
    labels: NewLabels.optional(),
  })
  .openapi("ForkRequest");

export const SessionIdParams = z.object({
  id: z
    .string()
    .min(1)
    .max(SESSION_ID_MAX)
    .openapi({ param: { name: "id", in: "path" }, description: "of the session" }),
});

// ── answers ──

const Usage = z
  .object({
    inputTokens: z.number(),
    outputTokens: z.number(),
    cacheCreationTokens: z.number().optional(),
    cacheReadTokens: z.number().optional(),
  })
  .openapi("Usage");

export const RunResult = z
  .object({
    text: z.string(),
    sessionId: z.string(),
    turns: count.openapi({ description: "model turns within this run; 0: deferred, nothing ran" }),
    toolCalls: count,
    usage: Usage,
    structuredOutput: json.optional(),
    schemaWarnings: z.array(json).optional(),
    skillDiagnostics: json.optional(),
  })
  .openapi("RunResult");

export const SessionView = z
  .object({
    state: z.object({
      sessionId: z.string(),
      createdAt: timeMs,
      updatedAt: timeMs,
      messageCount: count,
      isActive: z.boolean(),
      lastAssistantText: z.string().optional(),
      labels: Labels,
    }),
    billing: z.object({ totalTokens: z.number(), usage: Usage }),
  })
  .openapi("SessionView");

export const SessionSummary = z
  .object({
    sessionId: z.string(),
    createdAt: timeMs,
    updatedAt: timeMs,
    messageCount: count,
    totalTokens: z.number(),
    isActive: z.boolean(),
    labels: Labels,
  })
  .openapi("SessionSummary");

export const SessionPage = z
  .object({
    data: z.array(SessionSummary),
    nextCursor: z.string().optional().openapi({ description: "give it back as cursor; absent on the last page" }),
  })
  .openapi("SessionPage");

export const HistoryPage = z
  .object({
    sessionId: z.string(),
    messageCount: count,
    offset: count,
    limit: count.optional(),
    hasMore: z.boolean(),
    messages: z.array(z.record(z.string(), z.unknown()).openapi("Message", { description: "role and what goes with it" })),
  })
  .openapi("HistoryPage");

export const Interrupted = z.object({ interrupted: z.literal(true) }).openapi("Interrupted");
export const SystemContextStatus = z.object({ status: z.enum(["applied", "staged", "duplicate"]) }).openapi("SystemContextStatus");
export const Health = z.object({ status: z.enum(["ok", "degraded", "closing"]) }).openapi("Health");
export const HostReport = z.record(z.string(), z.unknown()).openapi("HostReport", {
  description: "lanes, sessions, queues, counters: measured now; `recent`: rates and latencies of the last ten seconds",
});
export const Ticket = z.object({ ticket: z.string(), expiresAt: timeMs }).openapi("Ticket");
