/** A server's sessions, as a program sees them: every call of the HTTP API, typed. docs/http.md says what each does. */
import type { SessionId } from "../protocol/ids.ts";
import type { AppendSystemContextRequest, CreateSessionRequest, SessionHistoryQuery, StartTurnRequest } from "../protocol/requests.ts";
import type { Message } from "../protocol/session-model.ts";
import type { HostSnapshot, RunResult, SessionHistoryPage, SessionSummary, SessionView } from "../protocol/views.ts";
import { WarrenClientError } from "./errors.ts";
import type { EventsOptions } from "./event-stream.ts";
import { SessionEvents } from "./event-stream.ts";
import type { HttpCall } from "./http.ts";
import { Http } from "./http.ts";
import type { TurnListeners } from "./turn-run.ts";
import { runTurn } from "./turn-run.ts";
import type { TurnStream } from "./turn-stream.ts";
import { turnStreamOf } from "./turn-stream.ts";

export interface WarrenClientOptions {
  /** Where the server is, such as `http://127.0.0.1:8787`. It may have a path. */
  url: string | URL;
  /** Sent as a bearer token. */
  key?: string | undefined;
  /** In place of the global one. */
  fetch?: typeof fetch | undefined;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** How often a request is sent again after a failure of the connection, or when the server says so. Default 2. */
  retries?: number | undefined;
}

export interface RequestOptions {
  /** Rejects the call with the signal's reason. A turn that runs goes on, unless its request says `cancelOnDisconnect`. */
  signal?: AbortSignal | undefined;
}
export interface PostOptions extends RequestOptions {
  /** The server answers a second request with the same key as it answered the first. Default: one of its own for each call. */
  idempotencyKey?: string | undefined;
}
export interface TurnOptions extends PostOptions, TurnListeners {}

export interface NewSession extends Omit<CreateSessionRequest, "prompt" | "onEvent" | "sessionId" | "idempotencyKey"> {
  /** Of the first turn; needed unless `initialTurn` is "defer". */
  prompt?: string | undefined;
  /** Interrupt the turn when the connection ends before its answer. */
  cancelOnDisconnect?: boolean | undefined;
}
export interface NewTurn extends Omit<StartTurnRequest, "onEvent" | "idempotencyKey" | "idempotencyScope"> {
  cancelOnDisconnect?: boolean | undefined;
}

export interface ListQuery {
  /** Every pair must match. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** Sessions a page has. */
  limit?: number | undefined;
  /** `nextCursor` of the page before. */
  cursor?: string | undefined;
}
export interface SessionPage {
  data: SessionSummary[];
  /** Absent on the last page. */
  nextCursor?: string;
}

/** What `inspect()` says of the host, and what its server adds. */
export type HostReport = HostSnapshot & { [member: string]: unknown };
export interface Health {
  status: "ok" | "degraded" | "closing";
}

export class WarrenClient {
  readonly #http: Http;

  constructor(options: WarrenClientOptions) {
    const { url, key, fetch: send = (...request) => fetch(...request), headers = {}, retries = 2 } = options;
    this.#http = new Http({
      url: String(url).replace(/\/*$/, "/"),
      fetch: send,
      headers: { ...headers, ...(key !== undefined && { authorization: `Bearer ${key}` }) },
      retries,
    });
  }

  /** Waits for the first turn's result, unless it is deferred; however long that takes, unless `retries` is 0. */
  createSession(request: NewSession, options: TurnOptions = {}): Promise<RunResult> {
    return this.#turn("v1/sessions", request, options);
  }

  /** Waits for the turn's result, as `createSession` does. With listeners its events are told as they come. */
  startTurn(id: SessionId, request: NewTurn, options: TurnOptions = {}): Promise<RunResult> {
    return this.#turn(`${pathOf(id)}/turns`, request, options);
  }

  /** `startTurn` with the turn's events as an async iterable. */
  streamTurn(id: SessionId, request: NewTurn, options: PostOptions = {}): TurnStream {
    return turnStreamOf(
      (listeners) => this.#turn(`${pathOf(id)}/turns`, request, { ...options, ...listeners }),
      (ticket) => this.interrupt(id, { ticket }),
    );
  }

  async #turn(path: string, body: NewSession | NewTurn, { signal, idempotencyKey, ...listeners }: TurnOptions): Promise<RunResult> {
    const call: HttpCall = { method: "POST", path, body, signal, idempotencyKey, isLong: true };
    const { onEvent, onAdmitted, onQueued } = listeners;
    // A connection that is silent may be given up by what carries it, and would take the turn along: one with events never is.
    const mustLast = body.cancelOnDisconnect === true;
    if (mustLast || (onEvent ?? onAdmitted ?? onQueued) !== undefined) return runTurn(this.#http, call, listeners);
    return (await this.#http.json(call)) as RunResult;
  }

  /** The session's events, from `after` or from now on, over as many connections as that takes. Nothing happens before the first `next()`. */
  events(id: SessionId, options: EventsOptions = {}): SessionEvents {
    return new SessionEvents(this.#http, id, options);
  }

  /** Stop the running turn, or only that of a ticket. */
  async interrupt(id: SessionId, { ticket, ...options }: PostOptions & { ticket?: number | undefined } = {}): Promise<void> {
    await this.#post(`${pathOf(id)}/interrupt`, ticket === undefined ? {} : { ticket }, options);
  }

  async read(id: SessionId, options: RequestOptions = {}): Promise<SessionView> {
    return (await this.#get(pathOf(id), options)) as SessionView;
  }

  /** One page of sessions, in the order of their creation. */
  async list({ labels, limit, cursor }: ListQuery = {}, options: RequestOptions = {}): Promise<SessionPage> {
    const named = Object.entries(labels ?? {}).map(([name, value]) => [`label.${name}`, value] as const);
    return (await this.#get(`v1/sessions${queryOf([["limit", limit], ["cursor", cursor], ...named])}`, options)) as SessionPage;
  }

  /** All sessions, page by page. */
  async *sessions(query: ListQuery = {}, options: RequestOptions = {}): AsyncGenerator<SessionSummary, void, void> {
    for (let { cursor } = query; ;) {
      const { data, nextCursor } = await this.list({ ...query, cursor }, options);
      yield* data;
      if (nextCursor === undefined) return;
      cursor = nextCursor;
    }
  }

  /** One page of the transcript. Waits for a running turn. */
  async history(id: SessionId, { offset, limit }: SessionHistoryQuery = {}, { signal }: RequestOptions = {}): Promise<SessionHistoryPage> {
    const query = queryOf(Object.entries({ offset, limit }));
    const call: HttpCall = { method: "GET", path: `${pathOf(id)}/history${query}`, signal, isLong: true };
    return (await this.#http.json(call)) as SessionHistoryPage;
  }

  /** The whole transcript, page by page. */
  async *messages(
    id: SessionId,
    { offset = 0, limit }: SessionHistoryQuery = {},
    options: RequestOptions = {},
  ): AsyncGenerator<Message, void, void> {
    for (let from = offset; ;) {
      const { messages, hasMore } = await this.history(id, { offset: from, limit }, options);
      yield* messages;
      if (!hasMore || messages.length === 0) return;
      from += messages.length;
    }
  }

  /** Text for exactly the next model call. */
  async appendSystemContext(
    id: SessionId,
    request: AppendSystemContextRequest,
    options: PostOptions = {},
  ): Promise<{ status: "applied" | "staged" | "duplicate" }> {
    return (await this.#post(`${pathOf(id)}/system-context`, request, options)) as { status: "applied" | "staged" | "duplicate" };
  }

  /** A new session with the same agent and the first messages of this one, or all of them. */
  async fork(
    id: SessionId,
    request: { messages?: number | undefined; labels?: Record<string, string> | undefined } = {},
    options: PostOptions = {},
  ): Promise<SessionView> {
    return (await this.#post(`${pathOf(id)}/fork`, request, options)) as SessionView;
  }

  /** Put an idle session to sleep. */
  async hibernate(id: SessionId, options: PostOptions = {}): Promise<void> {
    await this.#post(`${pathOf(id)}/hibernate`, undefined, options);
  }

  /** Let a session run again that brought its thread down repeatedly. */
  async releaseQuarantine(id: SessionId, options: PostOptions = {}): Promise<void> {
    await this.#post(`${pathOf(id)}/release-quarantine`, undefined, options);
  }

  /** Take a session out of service. `purge`: remove a stored one for good. */
  async archive(id: SessionId, { purge = false, signal }: RequestOptions & { purge?: boolean } = {}): Promise<void> {
    await this.#http.json({ method: "DELETE", path: `${pathOf(id)}${purge ? "?purge=true" : ""}`, signal });
  }

  async host(options: RequestOptions = {}): Promise<HostReport> {
    return (await this.#get("v1/host", options)) as HostReport;
  }

  /** Whether new work is let in. Rejects only when nobody answers. */
  async health({ signal }: RequestOptions = {}): Promise<Health> {
    try {
      return (await this.#http.json({ method: "GET", path: "readyz", signal, retries: 0 })) as Health;
    } catch (error) {
      if (error instanceof WarrenClientError && error.status === 503) return { status: "closing" };
      throw error;
    }
  }

  #get(path: string, { signal }: RequestOptions): Promise<unknown> {
    return this.#http.json({ method: "GET", path, signal });
  }

  #post(path: string, body: unknown, { signal, idempotencyKey }: PostOptions): Promise<unknown> {
    return this.#http.json({ method: "POST", path, body, signal, idempotencyKey });
  }
}

function pathOf(id: SessionId): string {
  return `v1/sessions/${encodeURIComponent(id)}`;
}

function queryOf(entries: readonly (readonly [string, string | number | undefined])[]): string {
  const query = new URLSearchParams();
  for (const [name, value] of entries) if (value !== undefined) query.append(name, String(value));
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
