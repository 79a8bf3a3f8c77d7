/** What a client says over a WebSocket, and what it is told. One table of each; docs/http.md describes them. */
import { z } from "@hono/zod-openapi";

import type { EventEnvelope } from "../../protocol/events.ts";
import { SESSION_ID_MAX } from "../../protocol/ids.ts";
import type { RunResult } from "../../protocol/views.ts";
import type { Problem } from "../problems.ts";
import { CreateSessionBody, StartTurnBody } from "../schemas.ts";

/** The client's own name for what it asks: answers carry it. */
const ref = z.union([z.string().max(128), z.number()]);
const sessionId = z.string().min(1).max(SESSION_ID_MAX);

export const ClientMessage = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("subscribe"),
    ref,
    sessionId,
    after: z.union([z.string().min(1).max(512), z.int().nonnegative()]).optional(),
  }),
  z.strictObject({ op: z.literal("unsubscribe"), ref, sessionId }),
  z.strictObject({ op: z.literal("create"), ref, request: CreateSessionBody }),
  z.strictObject({ op: z.literal("start"), ref, sessionId, request: StartTurnBody }),
  z.strictObject({ op: z.literal("interrupt"), ref, sessionId, ticket: z.int().positive().optional() }),
]);
export type ClientMessage = z.infer<typeof ClientMessage>;
export type Ref = z.infer<typeof ref>;

export type ServerMessage =
  /** It is done: subscribe, unsubscribe, interrupt. */
  | { type: "ok"; ref: Ref }
  | { type: "queued"; ref: Ref; position: number }
  | { type: "admitted"; ref: Ref; sessionId?: string; ticket: number }
  | { type: "result"; ref: Ref; result: RunResult }
  /** Without `ref`: of a message that could not be understood. */
  | { type: "problem"; ref?: Ref; problem: Problem }
  /** Of a session that is subscribed to; with seq 0 a gap. */
  | { type: "event"; sessionId: string; envelope: EventEnvelope }
  /** The session is out of service, or its subscription failed: there will be no more events of it. */
  | { type: "end"; sessionId: string; problem?: Problem };
