/** What a session is made of: messages, usage, and the data an agent and the host exchange about them. Schemas first, types from them. */
import * as z from "zod";

import { SESSION_ID_MAX } from "./ids.ts";
import { json } from "./json-schema.ts";
import { list } from "./list.ts";

const count = z.int().nonnegative();

/** Tokens of one or many model calls. The total is input + output. */
export const Usage = z.object({
  inputTokens: count,
  outputTokens: count,
  cacheCreationTokens: count.optional(),
  cacheReadTokens: count.optional(),
});
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  cacheCreationTokens?: number | undefined;
  cacheReadTokens?: number | undefined;
}

export const STOP_REASONS = ["end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled"] as const;
export const StopReason = z.enum(STOP_REASONS);
export type StopReason = z.infer<typeof StopReason>;

/** Name of a skill: lower-case words joined by single dashes. */
export const SkillKey = z.strictObject({
  sourceUuid: z.string().min(1),
  skillName: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "must be lower-case words joined by single dashes"),
});
export type SkillKey = z.infer<typeof SkillKey>;

/** Which tools one turn may use. Absent: no restriction. An empty allow-list: none. Deny beats allow. */
export const ToolOverlay = z.strictObject({
  allowedTools: list(z.string()).optional(),
  blockedTools: list(z.string()).optional(),
});
export interface ToolOverlay {
  allowedTools?: string[] | undefined;
  blockedTools?: string[] | undefined;
}

const ToolCall = z.object({ id: z.string(), name: z.string(), args: json() });
const ToolResult = z.object({ toolUseId: z.string(), content: z.string(), isError: z.boolean().optional() });
const AssistantBlock = z.discriminatedUnion("blockType", [
  z.object({ blockType: z.literal("text"), data: z.object({ text: z.string(), meta: json().optional() }) }),
  z.object({ blockType: z.literal("reasoning"), data: z.object({ text: z.string(), meta: json().optional() }) }),
  z.object({
    blockType: z.literal("tool_use"),
    data: z.object({ id: z.string(), name: z.string(), args: json(), meta: json().optional() }),
  }),
]);

/** One entry of a transcript, told apart by `role`. */
export const Message = z.discriminatedUnion("role", [
  z.object({ role: z.literal("system"), content: z.string() }),
  z.object({ role: z.literal("user"), content: z.string() }),
  z.object({
    role: z.literal("assistant"),
    content: z.string(),
    toolCalls: list(ToolCall).optional(),
    stopReason: StopReason.optional(),
    usage: Usage.optional(),
  }),
  z.object({ role: z.literal("block_assistant"), blocks: list(AssistantBlock), stopReason: StopReason.optional() }),
  z.object({ role: z.literal("tool_results"), results: list(ToolResult) }),
]);
export type Message = z.infer<typeof Message>;

/** A whole session: what export gives and what a session is rebuilt from. Times are epoch milliseconds. */
export const Session = z.object({
  version: z.literal(1),
  id: z.string().min(1).max(SESSION_ID_MAX),
  messages: list(Message),
  createdAt: z.number().nonnegative(),
  updatedAt: z.number().nonnegative(),
  metadata: z.record(z.string(), json()),
  usage: Usage,
});
export type Session = z.infer<typeof Session>;

/** What an agent says about its session after a turn: counts and times, no transcript. */
export const SessionSnapshot = z.object({
  createdAt: z.number().nonnegative(),
  updatedAt: z.number().nonnegative(),
  messageCount: count,
  totalTokens: count.optional(),
  usage: Usage,
  lastAssistantText: z.string().optional(),
  revision: count.optional(),
});
export interface SessionSnapshot {
  createdAt: number;
  updatedAt: number;
  messageCount: number;
  /** Derived from `usage`; accepted for agents that report it. */
  totalTokens?: number | undefined;
  usage: Usage;
  lastAssistantText?: string | undefined;
  /** Grows when messages of earlier turns are changed or removed (compaction), or metadata is: the session is then saved whole. Default: never. */
  revision?: number | undefined;
}

/** System context on its way into a session. */
export const PendingSystemContextAppend = z.strictObject({
  text: z.string(),
  source: z.string().optional(),
  idempotencyKey: z.string().min(1).optional(),
  acceptedAt: z.number().nonnegative().optional(),
});
export interface PendingSystemContextAppend {
  text: string;
  source?: string | undefined;
  idempotencyKey?: string | undefined;
  /** Epoch milliseconds. */
  acceptedAt?: number | undefined;
}

/** What the host knows of a session's staged context. */
export interface SystemContextSnapshot {
  /** Not yet taken by the agent, oldest first. */
  readonly pending: readonly PendingSystemContextAppend[];
  /** By idempotency key. */
  readonly seen: Readonly<Record<string, { readonly text: string; readonly source?: string; readonly state: "pending" | "applied" }>>;
}

/** @returns `a` + `b`; an optional count is present when either has it */
export function addUsage(a: Usage, b: Partial<Usage>): Usage {
  if (b.inputTokens === 0 && b.outputTokens === 0 && b.cacheCreationTokens === undefined && b.cacheReadTokens === undefined) return a;
  const sum: Usage = { inputTokens: a.inputTokens + (b.inputTokens ?? 0), outputTokens: a.outputTokens + (b.outputTokens ?? 0) };
  const created = a.cacheCreationTokens ?? b.cacheCreationTokens;
  const read = a.cacheReadTokens ?? b.cacheReadTokens;
  if (created !== undefined) sum.cacheCreationTokens = (a.cacheCreationTokens ?? 0) + (b.cacheCreationTokens ?? 0);
  if (read !== undefined) sum.cacheReadTokens = (a.cacheReadTokens ?? 0) + (b.cacheReadTokens ?? 0);
  return sum;
}

/** @returns the text of the last assistant message from index `from` on that has any; block texts are joined */
export function lastAssistantText(messages: readonly Message[], from = 0): string | undefined {
  for (let i = messages.length - 1; i >= from; i--) {
    const message = messages[i] as Message;
    const text =
      message.role === "assistant"
        ? message.content
        : message.role === "block_assistant"
          ? message.blocks.map((block) => (block.blockType === "text" ? block.data.text : "")).join("")
          : "";
    if (text !== "") return text;
  }
  return undefined;
}
