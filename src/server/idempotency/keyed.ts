/** What a route does for a request that may have an Idempotency-Key. */
import type { SessionService } from "../../host/session-service.ts";
import { SessionError } from "../../protocol/errors.ts";
import { isInstance } from "../../protocol/foreign.ts";
import { IdSource } from "../../protocol/ids.ts";
import type { SessionId } from "../../protocol/ids.ts";
import { resumedIdOf } from "../../protocol/requests.ts";
import type { CallOptions, CreateSessionRequest, StartTurnRequest } from "../../protocol/requests.ts";
import type { RunResult, SessionView } from "../../protocol/views.ts";
import type { Ctx, ServerParts } from "../env.ts";
import { isNotFound } from "../problems.ts";
import { digest, keyOf, recordKey } from "./key.ts";

/** Of an answer that was given before. */
export const REPLAYED_HEADER = "idempotency-replayed";

/** What a request with a key is done under, so that doing it again does nothing twice. */
export interface Keyed {
  /** For what the library remembers by keys. */
  readonly key: string;
  /** Of what is to be created. The same each time. */
  readonly newId: SessionId;
  /** It may have been done before. */
  readonly isAgain: boolean;
}

const ids = new IdSource();

export interface KeyedOrder {
  /** As it was understood. */
  readonly body?: unknown;
  /** It creates a session, whose id is written down first. */
  readonly creates?: boolean;
  /** Aborted when the client has left, if it is not to be done then. */
  readonly signal?: CallOptions["signal"];
  /** The same request is under way, and is waited for. */
  readonly onJoin?: (() => void) | undefined;
}

/**
 * Do what a request asks for; once, if it has a key. Waits for the outcome.
 *
 * @param run - given no `keyed` for a request without a key; and a signal that is aborted when no client is left
 */
export async function onceFor<T>(
  c: Ctx,
  { once }: Pick<ServerParts, "once">,
  { body, creates, signal, onJoin }: KeyedOrder,
  run: (keyed: Keyed | undefined, signal: CallOptions["signal"]) => Promise<T>,
): Promise<T> {
  const key = keyOf(c.req.header("idempotency-key"));
  if (key === undefined) return run(undefined, signal);
  const record = recordKey(c.var.principal, c.req.method, c.req.path, key);
  return once.run<T>({
    record,
    fingerprint: digest(JSON.stringify(body) ?? ""),
    instance: c.req.path,
    ...(creates === true && { drawNote: () => ids.next(Date.now()) }),
    signal,
    onReplay: () => c.header(REPLAYED_HEADER, "true"),
    onJoin,
    run: (note, isAgain, left) => run({ key: record, newId: note ?? "", isAgain }, left),
  });
}

/** Creates a session under its drawn id, or that of the session it resumes, or finds out what became of it when that was done before. */
export async function createKeyed(
  service: Pick<SessionService, "read">,
  keyed: Keyed,
  request: CreateSessionRequest,
  create: (request: CreateSessionRequest) => Promise<RunResult>,
  start: (id: SessionId, request: StartTurnRequest) => Promise<RunResult>,
): Promise<RunResult> {
  const { newId, key: idempotencyKey } = keyed;
  const resumed = resumedIdOf(request.build);
  const sessionId = resumed ?? newId;
  const isDeferred = request.initialTurn === "defer";
  const make = () => create({ ...request, ...(resumed === undefined && { sessionId }), ...(!isDeferred && { idempotencyKey }) });
  const find = async () => {
    if (isDeferred) return { text: "", sessionId, turns: 0, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } };
    const { prompt, hostMode, skillReferences, onEvent } = request;
    return start(sessionId, { prompt, hostMode, skillReferences, onEvent, idempotencyKey });
  };
  // That there is a session to be resumed does not tell that it was.
  return resumed === undefined ? madeOnce(service, keyed, make, find) : keyed.isAgain ? make().catch(elseIfTaken(find)) : make();
}

/** As createKeyed, for a fork. */
export async function forkKeyed(
  service: Pick<SessionService, "read">,
  keyed: Keyed | undefined,
  fork: (sessionId: SessionId | undefined) => Promise<SessionView>,
): Promise<SessionView> {
  if (keyed === undefined) return fork(undefined);
  return madeOnce(
    service,
    keyed,
    () => fork(keyed.newId),
    () => service.read(keyed.newId),
  );
}

/** What was made when it was asked for before is looked for first: making it takes room, of which there may be no more. */
async function madeOnce<T>(
  service: Pick<SessionService, "read">,
  { newId, isAgain }: Keyed,
  make: () => Promise<T>,
  find: () => Promise<T>,
): Promise<T> {
  if (!isAgain) return make();
  if (await isThere(service, newId)) return find();
  return make().catch(elseIfTaken(find)); // it was made, and is out of service
}

function elseIfTaken<T>(find: () => Promise<T>): (error: unknown) => Promise<T> {
  return (error) => {
    const reason = isInstance(error, SessionError) ? error.details?.["reason"] : undefined;
    if (reason === "taken" || reason === "duplicate_id") return find();
    throw error;
  };
}

async function isThere(service: Pick<SessionService, "read">, id: SessionId): Promise<boolean> {
  try {
    await service.read(id);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
