/**
 * Turns that were running in a lane that is lost, in a host with a store: the store says how they ended.
 *
 *   LT1. A turn whose lane is lost is answered by the store, when all that the lane sent there has been done: with its result if that was
 *        committed, else with an error that says it was not. Until then its session is not woken, replaced or removed.
 */
import type { SessionError } from "../protocol/errors.ts";
import { agentFailure } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { SavedTurn } from "../protocol/stored-session.ts";
import type { StoreClient } from "../transport/store-client.ts";
import type { HostLane } from "./host-lane.ts";
import type { Turn } from "./turn.ts";

/** Turns that are asked for in one call: each may bring its whole result. */
const ASKED_AT_ONCE = 256;

export interface LostTurnsParts {
  readonly client: StoreClient;
  fail(turn: Turn, error: SessionError): void;
  /** The store cannot say how a session's turn ended. */
  onUnknown(id: SessionId, failure: unknown): void;
}

export class LostTurns {
  readonly #parts: LostTurnsParts;
  /** By session: until its turn is answered. */
  readonly #asked = new Map<SessionId, Promise<void>>();

  constructor(parts: LostTurnsParts) {
    this.#parts = parts;
  }

  /** Resolves when the session has no such turn; undefined: it has none. Never rejects. */
  settled(id: SessionId): Promise<void> | undefined {
    return this.#asked.get(id);
  }

  /** Resolves when all that are asked for now are answered. */
  async idle(): Promise<void> {
    await Promise.all(this.#asked.values());
  }

  /** LT1. @param why - what a turn's caller gets if the store does not have its result */
  settle(lane: HostLane, turns: readonly Turn[], why: (id: SessionId) => SessionError): void {
    for (let from = 0; from < turns.length; from += ASKED_AT_ONCE) {
      const some = turns.slice(from, from + ASKED_AT_ONCE);
      const settled = this.#settleSome(lane, some, why);
      for (const { entry } of some) this.#asked.set(entry.id, settled);
      void settled.then(() => {
        for (const { entry } of some) if (this.#asked.get(entry.id) === settled) this.#asked.delete(entry.id);
      });
    }
  }

  async #settleSome(lane: HostLane, turns: readonly Turn[], why: (id: SessionId) => SessionError): Promise<void> {
    const ids = turns.map(({ entry }) => entry.id);
    const saved = await this.#lastTurns(lane, ids).catch((failure: unknown) => {
      for (const id of ids) this.#parts.onUnknown(id, failure);
      return undefined;
    });
    for (const [index, turn] of turns.entries()) {
      const last = saved?.[index] ?? (saved === undefined ? "unreadable" : undefined);
      const error = why(turn.entry.id);
      if (last === "unreadable") this.#parts.fail(turn, withOutcomeUnknown(error));
      else if (last?.ticket === turn.ticket) turn.completeFrom(last.result);
      else this.#parts.fail(turn, error);
    }
  }

  /** @throws StoreError */
  async #lastTurns({ storeConnection = 0 }: HostLane, ids: readonly SessionId[]): Promise<(SavedTurn | null | "unreadable")[]> {
    const { client } = this.#parts;
    if (await client.call("laneDrained", storeConnection)) return client.call("lastTurns", ids);
    // Whatever the port still holds comes too late when the epoch has been raised.
    return Promise.all(ids.map(async (id) => (await client.call("fence", id))?.lastTurn ?? null));
  }
}

function withOutcomeUnknown(error: SessionError): SessionError {
  const { sessionId, agentError, message } = error;
  const details = { ...error.details, outcome: "unknown" };
  return agentFailure("lane_lost", agentError?.message ?? message, { ...(sessionId !== undefined && { sessionId }), details });
}
