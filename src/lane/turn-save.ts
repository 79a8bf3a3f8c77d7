/**
 * What is saved of a turn at its end, and what is remembered of it for whoever asks for it once more (R5). A run that ended at a boundary
 * without a result is not remembered: asked for again it finds out again.
 */
import type { SessionSnapshot } from "../protocol/session-model.ts";
import type { SavedTurn } from "../protocol/stored-session.ts";
import { AgentError } from "./agent-errors.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import type { Outcome } from "./turn-outcome.ts";
import type { TurnSeat } from "./turn-seat.ts";

type Success = Extract<Outcome, { ok: true }>;

/** @param key - of the request. @returns the snapshot that was saved; rejects with StoreError, or AgentError when the agent gives none */
export async function saveTurn(
  seat: TurnSeat,
  keeper: SessionKeeper,
  ticket: number,
  key: string | undefined,
  outcome: Success,
): Promise<SessionSnapshot> {
  const taken = seat.takeSnapshot();
  if (!taken.ok) throw new AgentError("internal_error", taken.error.agentError?.message ?? taken.error.message);
  const known = keyOf(key, outcome);
  const turn: SavedTurn = { ticket, result: outcome.result, ...(known !== undefined && { key: known }) };
  await keeper.saveTurn(turn, taken.snapshot);
  remember(seat, key, outcome);
  return taken.snapshot;
}

/** Of a turn that does not stand: its events, and the context that was written before its run. @returns undefined when there is nothing */
export function saveAside(seat: TurnSeat, keeper: SessionKeeper, hasContext: boolean): Promise<void> | undefined {
  if (!hasContext) return keeper.saveEvents();
  const taken = seat.takeSnapshot();
  const saved = taken.ok ? keeper.saveRest(taken.snapshot, true) : Promise.resolve();
  return saved.then(() => keeper.saveEvents());
}

export function remember(seat: TurnSeat, key: string | undefined, outcome: Success): void {
  const known = keyOf(key, outcome);
  seat.lastTurn = known === undefined ? undefined : { key: known, result: outcome.result };
}

const keyOf = (key: string | undefined, { boundary }: Success): string | undefined => (boundary?.terminal === undefined ? key : undefined);
