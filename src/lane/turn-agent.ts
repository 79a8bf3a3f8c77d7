/** What a turn asks of its agent. Whatever the agent throws becomes an outcome, or is reported as a stray error. */
import { appendsMissingIn } from "../core/system-context.ts";
import type { RunContext, SessionAgent } from "../protocol/agent.ts";
import type { WireError } from "../protocol/errors.ts";
import type { TurnCommand } from "../protocol/frames.ts";
import { TURN_FLAGS } from "../protocol/frames.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";
import type { RunResult } from "../protocol/views.ts";
import { turnFailure } from "./agent-errors.ts";
import type { LaneContext } from "./lane-context.ts";
import type { Outcome } from "./turn-outcome.ts";
import { asKind, outcomeOf } from "./turn-outcome.ts";

/** @returns what keeps the turn from running */
export function stageAgent(agent: SessionAgent, extras: TurnCommand[6]): WireError | undefined {
  try {
    agent.setSkillReferences(extras?.skillReferences);
    agent.setFlowToolOverlay(extras?.overlay);
  } catch (error) {
    return asKind(turnFailure(error), "tool_overlay");
  }
  if (extras?.contextAppends === undefined) return undefined;
  try {
    addContext(agent, extras.contextAppends);
    return undefined;
  } catch (error) {
    return turnFailure(error);
  }
}

/** Write what is not there yet into the system message. @throws what the agent throws */
export function addContext(agent: SessionAgent, appends: readonly PendingSystemContextAppend[]): void {
  const first = agent.sessionClone().messages[0];
  const missing = appendsMissingIn(first?.role === "system" ? first.content : "", appends);
  if (missing.length > 0) agent.applyRuntimeSystemContext(missing);
}

/** @returns the outcome, or a promise of the result, of which an outcome can be made */
export function callAgent(agent: SessionAgent, command: TurnCommand, run: RunContext): Outcome | Promise<RunResult> {
  const prompt = command[4];
  try {
    const returned: RunResult | Promise<RunResult> =
      ((command[5] ?? 0) & TURN_FLAGS.hostMode) === 0 ? agent.runWithEvents(prompt, run) : agent.runHostMode(prompt, run);
    // Wrapped: a thenable of the agent's own may call back twice.
    return isThenable(returned) ? Promise.resolve(returned) : outcomeOf(returned);
  } catch (error) {
    return { ok: false, error: turnFailure(error) };
  }
}

function isThenable(value: unknown): value is Promise<RunResult> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** Have the agent take back what its run changed. */
export function takeBack(agent: SessionAgent, lane: LaneContext): void {
  try {
    agent.cancel();
  } catch (error) {
    lane.reportStray(error);
  }
}

/** @returns the turn's outcome. Fails closed: a turn whose restriction may still stand did not succeed */
export function clearOverlay(agent: SessionAgent, outcome: Outcome): Outcome {
  try {
    agent.setFlowToolOverlay(undefined);
    return outcome;
  } catch (error) {
    return outcome.ok ? { ok: false, error: asKind(turnFailure(error), "tool_overlay") } : outcome;
  }
}
