/**
 * The end of a turn whose caller wants a receipt: what the session is then comes with the result, before anybody else can enter it. A run
 * that stopped at a boundary without a result (nothing to resume, or a tool call its caller has to answer) ended well for such a caller.
 */
import type { WireError } from "../protocol/errors.ts";
import type { TurnBoundary } from "../protocol/frames.ts";
import { CallbackPending } from "../protocol/runtime.ts";
import type { CheckedResult } from "../protocol/shortcuts.ts";
import { AgentError, describeError, turnFailure } from "./agent-errors.ts";
import { boundaryOf } from "./boundary-state.ts";
import { takeBack } from "./turn-agent.ts";
import type { Outcome } from "./turn-outcome.ts";
import type { TurnSeat } from "./turn-seat.ts";

const NOTHING: CheckedResult = { text: "", turns: 0, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } };

/**
 * Called while the run can still be taken back: a success of which there is no boundary is a failure, and for a caller who wants no
 * receipt one that waits for a tool call's answer is none of the session's.
 *
 * @param wantsBoundary - of the turn
 */
export function atBoundary(seat: TurnSeat, outcome: Outcome, wantsBoundary: boolean): Outcome {
  if (outcome.ok && !wantsBoundary) return outcome;
  const terminal = outcome.ok || !wantsBoundary ? undefined : terminalOf(outcome.error);
  if (!outcome.ok && terminal === undefined) {
    if (outcome.error.agentError?.kind === "callback_pending") takeBack(seat.agent, seat.lane);
    return outcome;
  }
  try {
    const state = boundaryOf(seat.agent.sessionClone());
    const boundary: TurnBoundary = terminal === undefined ? state : { ...state, terminal };
    return { ok: true, result: outcome.ok ? outcome.result : NOTHING, boundary };
  } catch (error) {
    takeBack(seat.agent, seat.lane);
    const message = `failed to serialize session for runtime receipt digest: ${describeError(error)}`;
    return { ok: false, error: turnFailure(new AgentError("internal_error", message)) };
  }
}

function terminalOf({ agentError }: WireError): TurnBoundary["terminal"] {
  if (agentError?.kind === "no_pending_boundary") return { kind: "no_pending_boundary" };
  if (agentError?.kind !== "callback_pending") return undefined;
  const details = CallbackPending.safeParse(agentError.details);
  return details.success ? { kind: "callback_pending", ...details.data } : undefined;
}
