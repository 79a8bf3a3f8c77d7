/** From a builder to an agent that can be used, and to the handles it offers. */
import { readSession } from "../core/unread-messages.ts";
import type { UnreadSession } from "../core/unread-messages.ts";
import type { AgentBuildContext, SessionAgent, SessionAgentBuilder } from "../protocol/agent.ts";
import type { WireCreateRequest } from "../protocol/frames.ts";
import type { CommsRuntime, EventInjector, HandleKind, SubscribableInjector } from "../protocol/handles.ts";
import { HANDLE_BITS } from "../protocol/handles.ts";
import type { Session } from "../protocol/session-model.ts";
import { AgentError } from "./agent-errors.ts";
import { buildOver } from "./define-agent.ts";

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

/**
 * @param resume - what `context` does not say: the session to go on from
 * @throws AgentError when the builder does not give an agent, or whatever the builder throws
 */
export async function buildAgent(
  builder: SessionAgentBuilder,
  request: WireCreateRequest,
  context: AgentBuildContext,
  resume: Session | UnreadSession | undefined,
): Promise<SessionAgent> {
  const agent = (await begin(builder, request, context, resume)) as SessionAgent | undefined | null;
  const missing = AGENT_METHODS.find((method) => typeof agent?.[method] !== "function");
  if (missing !== undefined || agent === undefined || agent === null)
    throw new AgentError("internal_error", `buildAgent must give an agent with ${missing}()`);
  return agent;
}

function begin(
  builder: SessionAgentBuilder,
  request: WireCreateRequest,
  context: AgentBuildContext,
  resume: Session | UnreadSession | undefined,
): SessionAgent | Promise<SessionAgent> {
  if (resume === undefined) return builder.buildAgent(request, context);
  const build = buildOver(builder);
  return build === undefined ? builder.buildAgent(request, { ...context, resume: readSession(resume) }) : build(request, context, resume);
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
