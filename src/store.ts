/** What a store's author imports, and whoever reads a store without a host: `import { openLmdbStore } from "warren/store"`. */
export { STORE_REASONS, StoreError } from "./protocol/store-error.ts";
export { messageCountOf, sessionOf } from "./protocol/stored-session.ts";
export { openLmdbStore } from "./store/lmdb-open.ts";
export { MemoryStore } from "./store/memory-store.ts";
export type { SessionId } from "./protocol/ids.ts";
export type { Message, Session, Usage } from "./protocol/session-model.ts";
export type { StoreReason } from "./protocol/store-error.ts";
export { KEYED_TURNS_MAX, KEYED_TURN_KEPT_MS } from "./protocol/stored-session.ts";
export type { Answer } from "./protocol/answers.ts";
export type {
  KeyedRequest,
  KeyedTurn,
  LoggedEvent,
  NewSession,
  SessionHead,
  SessionState,
  SessionWrite,
  StoredContext,
  StoredEvent,
  StoredQuery,
  StoredRequest,
  StoredResult,
  StoredSummary,
} from "./protocol/stored-session.ts";
export type { LmdbStoreOptions } from "./store/lmdb-open.ts";
export type { AcceptedInput, RestingState, RuntimePage, StoredRuntime } from "./protocol/stored-runtime.ts";
export type {
  AnswerStore,
  EventStore,
  EventWrite,
  KeyedTurnStore,
  RuntimeStore,
  SessionStore,
  SessionStoreModule,
} from "./store/session-store.ts";
