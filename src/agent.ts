/** What an agent's author imports: `import { defineAgent } from "warren/agent"`. Runs inside lanes. */
export { AgentError, TurnInterrupted } from "./lane/agent-errors.ts";
export { defineAgent } from "./lane/define-agent.ts";
export { renderBlocks, withBlocks } from "./core/system-context.ts";
export { SessionError } from "./protocol/errors.ts";
export type {
  AgentBuildContext,
  AgentSetup,
  RunContext,
  SessionAgent,
  SessionAgentBuilder,
  SessionCheckpointer,
  SimpleAgentDefinition,
  SystemContextState,
  TurnContext,
  TurnFunction,
  TurnOutput,
} from "./protocol/agent.ts";
export type { Interaction, InteractionTap, LaneComms, PeerIngress, WaitOptions } from "./protocol/comms.ts";
export type { AgentEvent } from "./protocol/events.ts";
export type {
  CommsCommand,
  CommsReceipt,
  CommsRuntime,
  EventInjector,
  InjectOutcome,
  InjectSource,
  InteractionSubscription,
  PeerDescription,
  SubscribableInjector,
} from "./protocol/handles.ts";
export type { CreateSessionRequest } from "./protocol/requests.ts";
export type { ExecutionKind } from "./protocol/runtime.ts";
export type {
  Message,
  PendingSystemContextAppend,
  Session,
  SessionSnapshot,
  SkillKey,
  ToolOverlay,
  Usage,
} from "./protocol/session-model.ts";
export type {
  AgentExecutionSnapshot,
  ExternalToolSurfaceEntry,
  ExternalToolSurfaceSnapshot,
  PeerIngressRuntimeSnapshot,
  ToolScopeSnapshot,
} from "./protocol/snapshots.ts";
export type { RunResult } from "./protocol/views.ts";
