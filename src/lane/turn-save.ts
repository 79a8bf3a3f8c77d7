/**
 * What is saved of a turn at its end, and what is remembered of it for whoever asks for it once more (R5). A run that ended at a boundary
 * without a result is not remembered: asked for again it finds out again.
 */
import type { SessionSnapshot } from "../protocol/session-model.ts";
import type { KeyedRequest, SavedTurn } from "../protocol/stored-session.ts";
import { AgentError } from "./agent-errors.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import type { Outcome } from "./turn-outcome.ts";
import type { AskedTurn } from "./turn-again.ts";
import type { TurnSeat } from "./turn-seat.ts";

type Success = Extract<Outcome, { ok: true }>;

/** @param asked - what the request is known by. @returns the snapshot that was saved; rejects with StoreError, or AgentError when the agent gives none */
export async function saveTurn(
  seat: TurnSeat,
  keeper: SessionKeeper,
  ticket: number,
  asked: AskedTurn | undefined,
  outcome: Success,
): Promise<SessionSnapshot> {
  const taken = seat.takeSnapshot();
  if (!taken.ok) throw new AgentError("internal_error", taken.error.agentError?.message ?? taken.error.message);
  const known = knownBy(asked, outcome);
  const turn: SavedTurn = { ticket, result: outcome.result, ...(known && { key: known.key }) };
  const keyed = requestOf(known, seat);
  await keeper.saveTurn(turn, taken.snapshot, keyed);
  remember(seat, ticket, asked, outcome, keyed);
  return taken.snapshot;
}

/** Of a turn that does not stand: its events, and the context that was written before its run. @returns undefined when there is nothing */
export function saveAside(seat: TurnSeat, keeper: SessionKeeper, hasContext: boolean): Promise<void> | undefined {
  if (!hasContext) return keeper.saveEvents();
  const taken = seat.takeSnapshot();
  const saved = taken.ok ? keeper.saveRest(taken.snapshot, true) : Promise.resolve();
  return saved.then(() => keeper.saveEvents());
}

/** @param keyed - as it was saved */
export function remember(
  seat: TurnSeat,
  ticket: number,
  asked: AskedTurn | undefined,
  outcome: Success,
  keyed = requestOf(knownBy(asked, outcome), seat),
): void {
  const { result } = outcome;
  const known = knownBy(asked, outcome);
  seat.lastTurn = known && { ...known, result };
  if (keyed !== undefined) seat.keyed?.add({ ...keyed, ticket, result });
}

const knownBy = (asked: AskedTurn | undefined, { boundary }: Success): AskedTurn | undefined =>
  boundary?.terminal === undefined ? asked : undefined;

function requestOf(known: AskedTurn | undefined, { lane }: TurnSeat): KeyedRequest | undefined {
  if (known?.fingerprint === undefined) return undefined;
  return { key: known.key, fingerprint: known.fingerprint, at: lane.now() };
}
