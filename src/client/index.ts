/** A client of a Warren server, for Node and browsers: `import { WarrenClient } from "warren/client"`. */
export { WarrenClientError } from "./errors.ts";
export type { Problem } from "./errors.ts";
export type { EventsOptions, SessionEvents } from "./event-stream.ts";
export type { TurnListeners } from "./turn-run.ts";
export type { TurnStream } from "./turn-stream.ts";
export { WarrenClient } from "./warren-client.ts";
export type {
  Health,
  HostReport,
  ListQuery,
  NewSession,
  NewTurn,
  PostOptions,
  RequestOptions,
  SessionPage,
  TurnOptions,
  WarrenClientOptions,
} from "./warren-client.ts";
export type { Disposition } from "../protocol/errors.ts";
export type { AgentEvent, EventEnvelope } from "../protocol/events.ts";
export type { AppendSystemContextRequest, EventCursor, OnEvent, SessionHistoryQuery } from "../protocol/requests.ts";
export type { Message } from "../protocol/session-model.ts";
export type { HostSnapshot, LaneSnapshot, RunResult, SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
