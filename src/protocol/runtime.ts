/**
 * What a multi-agent runtime and a session service say to each other: turns that answer with a receipt, the receipt, and why a turn
 * ended where it did. The JSON of which a receipt has the digest is defined in docs/runtime.md.
 */
import * as z from "zod";

import type { InputId, RunId } from "./ids.ts";
import { json } from "./json-schema.ts";
import type { JsonValue } from "./json.ts";
import { list } from "./list.ts";
import type { RunResult } from "./views.ts";

const id = z.string().min(1).max(256);
export const RunIdParam = id;
export const InputIdsParam = list(id);
export const SnapshotParam = z.instanceof(Uint8Array);

/** Where in a run the runtime applies something. */
export const RunApplyBoundaryParam = z.enum(["immediate", "run_start", "run_checkpoint"]);
export type RunApplyBoundary = z.infer<typeof RunApplyBoundaryParam>;

/** "content_turn": the prompt is new content. "resume_pending": no new content, the agent goes on with what is pending in its session. */
export const ExecutionKindParam = z.enum(["content_turn", "resume_pending"]);
export type ExecutionKind = z.infer<typeof ExecutionKindParam>;

/** What a session was after a boundary. */
export interface RunBoundaryReceipt {
  readonly runId: RunId;
  readonly boundary: RunApplyBoundary;
  /** As they were given, in that order. */
  readonly contributingInputIds: readonly InputId[];
  /** Lower-case hex SHA-256 over the JSON of the messages; equal messages have equal digests. Absent when the service has no transcript at hand. */
  readonly conversationDigest?: string;
  readonly messageCount: number;
  /** 0: a session service knows of no other boundary. */
  readonly sequence: number;
}

/** How the applied turn ended. Absent from an output: nothing ran. */
export type CoreApplyTerminal =
  | { readonly kind: "run_result"; readonly runResult: RunResult }
  /** Nothing was pending that could be resumed. */
  | { readonly kind: "no_pending_boundary" }
  /** The run waits for the answer to a tool call that its caller has to bring. */
  | { readonly kind: "callback_pending"; readonly toolName: string; readonly args: JsonValue };

export interface CoreApplyOutput {
  readonly receipt: RunBoundaryReceipt;
  /** The whole session as JSON in UTF-8. Its buffer is the caller's. */
  readonly sessionSnapshot?: Uint8Array;
  readonly terminal?: CoreApplyTerminal;
}

/** What a callback-pending error of an agent has to say in its details. */
export const CallbackPending = z.object({ toolName: z.string(), args: json() });
