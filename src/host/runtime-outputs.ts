/** What a runtime is answered with: receipts, made of what it named and of what the session was. */
import type { SessionBoundary, TurnBoundary } from "../protocol/frames.ts";
import type { InputId, RunId } from "../protocol/ids.ts";
import { parseInput } from "../protocol/parse.ts";
import type { CoreApplyOutput, RunApplyBoundary, RunBoundaryReceipt } from "../protocol/runtime.ts";
import { InputIdsParam, RunApplyBoundaryParam, RunIdParam } from "../protocol/runtime.ts";
import type { RunResult } from "../protocol/views.ts";

type ReceiptHead = Pick<RunBoundaryReceipt, "runId" | "boundary" | "contributingInputIds">;

/** What the caller named, checked. @throws SessionError INVALID_PARAMS */
export function receiptHead(runId: RunId, boundary: RunApplyBoundary, contributingInputIds: InputId[]): ReceiptHead {
  return {
    runId: parseInput(RunIdParam, runId, "runId"),
    boundary: parseInput(RunApplyBoundaryParam, boundary, "boundary"),
    contributingInputIds: parseInput(InputIdsParam, contributingInputIds, "contributingInputIds"),
  };
}

/** Of a session in which something was written and nothing ran. */
export function appendedOutput(head: ReceiptHead, { digest, messageCount, snapshot }: SessionBoundary): CoreApplyOutput {
  return { receipt: { ...head, conversationDigest: digest, messageCount, sequence: 0 }, sessionSnapshot: snapshot };
}

export function turnOutput(head: ReceiptHead, boundary: TurnBoundary, runResult: RunResult): CoreApplyOutput {
  return { ...appendedOutput(head, boundary), terminal: boundary.terminal ?? { kind: "run_result", runResult } };
}

/** Of a turn whose lane was lost behind its commit: the result is known, what the session was is not. */
export function unseenOutput(head: ReceiptHead, messageCount: number, runResult: RunResult): CoreApplyOutput {
  return { receipt: { ...head, messageCount, sequence: 0 }, terminal: { kind: "run_result", runResult } };
}
