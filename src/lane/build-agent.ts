/** From a builder to an agent that can be used, and to the handles it offers. */
import type { AgentBuildContext, SessionAgent, SessionAgentBuilder } from "../protocol/agent.ts";
import type { WireCreateRequest } from "../protocol/frames.ts";
import type { CommsRuntime, EventInjector, HandleKind, SubscribableInjector } from "../protocol/handles.ts";
import { HANDLE_BITS } from "../protocol/handles.ts";
import { AgentError } from "./agent-errors.ts";

export type Handles = { eventInjector?: EventInjector; interactionEventInjector?: SubscribableInjector; commsRuntime?: CommsRuntime };

const AGENT_METHODS = [
  "runWithEvents",
  "runHostMode",
  "setSkillReferences",
  "setFlowToolOverlay",
  "cancel",
  "sessionId",
  "snapshot",
  "sessionClone",
  "applyRuntimeSystemContext",
  "systemContextState",
] as const satisfies readonly (keyof SessionAgent)[];

/** @throws AgentError when the builder does not give an agent, or whatever the builder throws */
export async function buildAgent(
  builder: SessionAgentBuilder,
  request: WireCreateRequest,
  context: AgentBuildContext,
): Promise<SessionAgent> {
  const agent = (await builder.buildAgent(request, context)) as SessionAgent | undefined | null;
  const missing = AGENT_METHODS.find((method) => typeof agent?.[method] !== "function");
  if (missing !== undefined || agent === undefined || agent === null)
    throw new AgentError("internal_error", `buildAgent must give an agent with ${missing}()`);
  return agent;
}

/** Taken once from each agent, before it serves anything (A2). */
export function takeHandles(agent: SessionAgent): Handles | undefined {
  const eventInjector = agent.eventInjector?.();
  const interactionEventInjector = agent.interactionEventInjector?.();
  const commsRuntime = agent.commsRuntime?.();
  if (!eventInjector && !interactionEventInjector && !commsRuntime) return undefined;
  return {
    ...(eventInjector && { eventInjector }),
    ...(interactionEventInjector && { interactionEventInjector }),
    ...(commsRuntime && { commsRuntime }),
  };
}

/** @returns which handles there are, as HANDLE_BITS */
export function handleBitsOf(handles: Handles | undefined): number {
  let bits = 0;
  for (const kind in handles) bits |= HANDLE_BITS[kind as HandleKind];
  return bits;
}
