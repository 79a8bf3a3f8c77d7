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

/** @returns the outcome with the session's boundary; a success of which there is none is a failure, and is taken back */
export function atBoundary(seat: TurnSeat, outcome: Outcome): Outcome {
  const terminal = outcome.ok ? undefined : terminalOf(outcome.error);
  if (!outcome.ok && terminal === undefined) return outcome;
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
