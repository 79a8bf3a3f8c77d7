/**
 * A stored session as one line of JSON: what `sessions export` writes and `sessions import` reads. Everything a store keeps of a session
 * but its event log, and what belongs to its place in one store (epoch, version).
 */
import * as z from "zod";

import { json } from "../protocol/json-schema.ts";
import { CreateSessionRequestSchema } from "../protocol/requests.ts";
import { Message, PendingSystemContextAppend, Usage } from "../protocol/session-model.ts";
import type { NewSession, SessionHead, StoredContext } from "../protocol/stored-session.ts";
import { RunResultSchema } from "../protocol/views.ts";
import type { SessionStore } from "../store/session-store.ts";

/** First member of every line: what it is, and in which form. */
const FORMAT = "warren-session/1";

const count = z.int().nonnegative();
const time = z.number().nonnegative();

const SessionRecordSchema = z
  .strictObject({
    format: z.literal(FORMAT, `must be "${FORMAT}"`),
    id: z.string().min(1).max(256),
    isArchived: z.boolean(),
    createdAt: time,
    updatedAt: time,
    agent: z.string().min(1),
    labels: CreateSessionRequestSchema.shape.labels.unwrap(),
    request: CreateSessionRequestSchema.omit({ onEvent: true, sessionId: true, idempotencyKey: true }),
    usage: Usage,
    lastAssistantText: z.string().optional(),
    system: z.string().optional(),
    metadata: z.record(z.string(), json()),
    lastSeq: count,
    contextTaken: count,
    lastTurn: z.strictObject({ ticket: z.int().positive(), result: RunResultSchema, key: z.string().min(1).optional() }).optional(),
    context: z
      .strictObject({
        staged: count,
        pending: z.array(PendingSystemContextAppend),
        seen: z.record(
          z.string(),
          z.strictObject({ text: z.string(), source: z.string().optional(), state: z.enum(["pending", "applied"]) }),
        ),
      })
      .optional(),
    messages: z.array(Message),
  })
  .refine(({ system, messages: [first] }) => system !== undefined || first?.role !== "system", {
    path: ["messages", 0, "role"],
    message: "must not be system: a leading system message is the member system",
  });
export type SessionRecord = z.output<typeof SessionRecordSchema>;

/** How often a session that changes while it is read is read again. */
const READS_MAX = 10;

/**
 * A session as it is at one moment, also while a host writes to it.
 *
 * @returns undefined when there is none
 * @throws StoreError
 */
export async function readSession(store: SessionStore, id: string): Promise<object | undefined> {
  for (let reads = 1; ; reads++) {
    const head = await store.head(id);
    if (head === undefined) return undefined;
    const context = await store.context(id);
    const messages = await store.messages(id, 0, head.logLength);
    const after = await store.head(id);
    if (after === undefined || messages === undefined) return undefined;
    if (after.version === head.version || reads === READS_MAX) return recordOf(head, messages, context);
  }
}

function recordOf(head: SessionHead, messages: readonly Message[], context: StoredContext | undefined): object {
  const { id, isArchived, createdAt, updatedAt, epoch: _epoch, version: _version, logLength: _length, ...rest } = head;
  return { format: FORMAT, id, isArchived, createdAt, updatedAt, ...rest, ...(context && { context }), messages };
}

/** @returns the session a line holds, or what is wrong with it (the field first) */
export function parseSessionRecord(line: string): { readonly record: SessionRecord } | { readonly problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return { problem: `is not JSON: ${(error as SyntaxError).message}` };
  }
  const parsed = SessionRecordSchema.safeParse(value);
  if (parsed.success) return { record: parsed.data };
  const [issue] = parsed.error.issues;
  const path = issue?.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]] : (issue?.path ?? []);
  return { problem: [path.map(String).join("."), issue?.message ?? "is not valid"].filter(Boolean).join(": ") };
}

/** @returns the session to be laid down */
export function newSessionOf(record: SessionRecord): NewSession {
  const { format: _format, id, isArchived: _archived, createdAt, labels, agent, request, messages, context: _context, ...state } = record;
  return { id, createdAt, labels, agent, request, state, messages } as NewSession;
}
