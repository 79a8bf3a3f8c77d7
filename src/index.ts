/** The library: `import { EphemeralSessionService } from "warren"`. */
export { builtinAgents } from "./agents/index.ts";
export { EphemeralSessionService } from "./host/ephemeral-service.ts";
export { MobSessionServiceDefaults } from "./host/mob-defaults.ts";
export { PersistentSessionService } from "./host/persistent-service.ts";
export { AGENT_ERROR_KINDS, ERRORS, SessionError, StreamError } from "./protocol/errors.ts";
export { compareEnvelopes, isEventOf } from "./protocol/events.ts";
export { HOST_EVENTS } from "./protocol/host-events.ts";
export type { MobSessionService } from "./host/mob-session-service.ts";
export type { SessionEventStream } from "./host/session-event-stream.ts";
export type { SessionService } from "./host/session-service.ts";
export type { SettledTurn, TurnObserver, TurnOutcome } from "./host/turn-observer.ts";
export type { TurnStream } from "./host/turn-stream.ts";
export type { Interaction, PeerIngress } from "./protocol/comms.ts";
export type { AgentErrorData, Disposition, ErrorCode } from "./protocol/errors.ts";
export type { AgentEvent, EventEnvelope, KnownAgentEvent, KnownEventType } from "./protocol/events.ts";
export type {
  CommsCommand,
  CommsReceipt,
  InjectOutcome,
  InjectSource,
  PeerDescription,
  RemoteCommsRuntime,
  RemoteEventInjector,
  RemoteInteractionSubscription,
  RemoteSubscribableInjector,
} from "./protocol/handles.ts";
export type { HostEvent, HostEventCounts, HostEventType } from "./protocol/host-events.ts";
export type { InputId, RunId, SessionId } from "./protocol/ids.ts";
export type { JsonValue } from "./protocol/json.ts";
export type { AgentModule, Logger, PersistenceOptions, SessionServiceOptions, StoreOptions } from "./protocol/options.ts";
export type {
  AppendSystemContextRequest,
  CallOptions,
  CreateSessionRequest,
  EventCursor,
  ForkOptions,
  OnEvent,
  SessionBuildOptions,
  SessionHistoryQuery,
  SessionQuery,
  StartTurnRequest,
  SubscribeOptions,
} from "./protocol/requests.ts";
export type { RuntimeInput } from "./protocol/runtime-input.ts";
export type { AcceptedInput } from "./protocol/stored-runtime.ts";
export type { ResourceLimits } from "./protocol/resource-limits.ts";
export type { CoreApplyOutput, CoreApplyTerminal, ExecutionKind, RunApplyBoundary, RunBoundaryReceipt } from "./protocol/runtime.ts";
export type {
  AgentExecutionSnapshot,
  ExternalToolSurfaceEntry,
  ExternalToolSurfaceSnapshot,
  PeerIngressRuntimeSnapshot,
  ToolScopeSnapshot,
} from "./protocol/snapshots.ts";
export type {
  Message,
  PendingSystemContextAppend,
  Session,
  SkillKey,
  StopReason,
  SystemContextSnapshot,
  ToolOverlay,
  Usage,
} from "./protocol/session-model.ts";
export type {
  BucketCounts,
  HostSnapshot,
  LaneDown,
  LaneSnapshot,
  RunResult,
  SessionHistoryPage,
  SessionSummary,
  SessionView,
  StoreCounts,
} from "./protocol/views.ts";
export type { RuntimeState } from "./core/machines.ts";
export type { MachineSessionControlAuthority } from "./runtime/machine-authority.ts";
export type { InputTicket, RuntimeAdapter, RuntimeExecutor, RuntimeSummary } from "./runtime/runtime-adapter.ts";
