/** What the store says of sessions, in the words of a session service: SessionErrors, views' data, pages. */
import { SessionError, StreamError, hostClosed, notFound } from "../protocol/errors.ts";
import type { ForkSource } from "../protocol/fork-source.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { Message, Session } from "../protocol/session-model.ts";
import type { StoreCalls, StoreMethod } from "../protocol/store-calls.ts";
import { StoreError, storeFailure } from "../protocol/store-error.ts";
import type { SessionHead, StoredQuery, StoredSummary } from "../protocol/stored-session.ts";
import { messageCountOf, sessionOf } from "../protocol/stored-session.ts";
import type { SessionHistoryPage } from "../protocol/views.ts";
import type { StoreClient } from "../transport/store-client.ts";
import { overloaded } from "./overloaded.ts";
import type { Subscription } from "./session-event-stream.ts";
import { historyPage } from "./session-views.ts";

/** Rows of a listing asked of the store at once. */
const LIST_ROWS = 1000;
/** Calls of main that may wait for the store; what the host itself has to write is never refused. */
export const STORE_CALLS_MAX = 16_384;

export class StoredSessions {
  readonly #client: StoreClient;
  readonly #isOpen: () => boolean;

  /** @param isOpen - whether the host is: a store that was closed with it is no failure of the store's */
  constructor(client: StoreClient, isOpen: () => boolean) {
    this.#client = client;
    this.#isOpen = isOpen;
  }

  /** @param id - of the session it is about. @throws SessionError SESSION_STORE_ERROR, HOST_OVERLOADED */
  async ask<M extends StoreMethod>(
    id: SessionId | undefined,
    method: M,
    ...args: Parameters<StoreCalls[M]>
  ): Promise<ReturnType<StoreCalls[M]>> {
    if (this.#client.waiting >= STORE_CALLS_MAX) {
      throw overloaded("store_calls", `${STORE_CALLS_MAX} calls of the store are waiting`, STORE_CALLS_MAX);
    }
    try {
      return await this.#client.call(method, ...args);
    } catch (error) {
      if (error instanceof StoreError && error.reason === "closed" && !this.#isOpen()) throw hostClosed();
      throw asSessionError(error, id);
    }
  }

  /** @returns the head, archived or not. @throws SessionError SESSION_NOT_FOUND, SESSION_STORE_ERROR */
  async head(id: SessionId): Promise<SessionHead> {
    const head = await this.ask(id, "head", id);
    if (head === null) throw notFound(id);
    return head;
  }

  /** As `head`; one that is archived is not found. */
  async sleeping(id: SessionId): Promise<SessionHead> {
    const head = await this.head(id);
    if (head.isArchived) throw notFound(id);
    return head;
  }

  /** @param keepsTurns - whether the store remembers turns by their keys; of any it knows the last good one. @throws SessionError SESSION_STORE_ERROR */
  async hasTurn(id: SessionId, key: string, keepsTurns: boolean): Promise<boolean> {
    if ((await this.ask(id, "head", id))?.lastTurn?.key === key) return true;
    return keepsTurns && (await this.ask(id, "keyedTurn", id, key, Date.now())) !== null;
  }

  /** The whole session as of its last save, archived or not. @returns undefined when it is not stored */
  async session(id: SessionId): Promise<Session | undefined> {
    // In one frame, and so at one moment: a rewrite between the two would give the head of one transcript and the messages of another.
    const [head, messages] = await Promise.all([this.ask(id, "head", id), this.ask(id, "messages", id, 0, undefined)]);
    if (head === null) return undefined;
    return messages === null ? undefined : sessionOf(head, messages);
  }

  /**
   * What a fork of a session that is not archived is made from, as of its last save.
   *
   * @param messages - how many are wanted; undefined: all
   * @throws SessionError SESSION_NOT_FOUND, SESSION_STORE_ERROR
   */
  async forkSource(id: SessionId, messages: number | undefined): Promise<ForkSource> {
    // At one moment, as in `session`. With a system message one of the log's is too many.
    const [head, log] = await Promise.all([this.sleeping(id), this.ask(id, "messages", id, 0, messages)]);
    const { agent, request, labels } = head;
    const session = sessionOf(head, log ?? []);
    return {
      agent,
      request: { ...request, labels },
      session: { ...session, messages: session.messages.slice(0, messages) },
      messageCount: messageCountOf(head),
    };
  }

  /** @throws SessionError SESSION_NOT_FOUND, SESSION_STORE_ERROR */
  async history(id: SessionId, { offset, limit }: { offset: number; limit: number | undefined }): Promise<SessionHistoryPage> {
    // At one moment, as in `session`. Whether there is a system message, which is not in the log, is known only then: so one more is asked for.
    const from = Math.max(0, offset - 1);
    const wanted = limit === undefined ? undefined : limit + 1;
    const [head, log] = await Promise.all([this.head(id), this.ask(id, "messages", id, from, wanted)]);
    const system: Message[] = head.system === undefined ? [] : [{ role: "system", content: head.system }];
    const known = from === 0 ? [...system, ...(log ?? [])] : (log ?? []);
    const skip = from === 0 ? offset : 1 - system.length;
    const page = known.slice(skip, limit === undefined ? undefined : skip + limit);
    return historyPage(id, messageCountOf(head), page, { offset, limit });
  }

  /** Sessions that are not archived, page by page. @param query - `limit` may be infinite */
  async *list({ labels, after, offset, limit = Infinity }: StoredQuery): AsyncGenerator<StoredSummary> {
    let given = 0;
    for (let from = after, skip = offset; given < limit; skip = undefined) {
      const wanted = Math.min(LIST_ROWS, limit - given);
      const rows = await this.ask(undefined, "list", { labels, after: from, offset: skip, limit: wanted });
      yield* rows;
      if (rows.length < wanted) return;
      given += rows.length;
      from = rows.at(-1)?.id;
    }
  }

  /** End a subscription to a session that is not stored, or archived. Never rejects. */
  async orEnd(id: SessionId, live: Subscription): Promise<void> {
    try {
      await this.sleeping(id);
    } catch (error) {
      const isUnknown = error instanceof SessionError && error.code === "SESSION_NOT_FOUND";
      live.fail(isUnknown ? new StreamError("NOT_FOUND", `session ${id}`) : error);
    }
  }
}

/** @returns a store's error as its caller gets it; any other as it is */
export function asSessionError(error: unknown, id?: SessionId): unknown {
  return error instanceof StoreError ? storeFailure(error, id) : error;
}
