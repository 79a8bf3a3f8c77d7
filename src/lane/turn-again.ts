/** Whether a turn was asked for before: what its request is known by, and what becomes of one that is asked for again (R5). */
import { SessionError, toWire } from "../protocol/errors.ts";
import type { WireError } from "../protocol/errors.ts";
import type { TurnCommand } from "../protocol/frames.ts";
import type { KeyedTurn, StoredResult } from "../protocol/stored-session.ts";
import { saveFailure } from "./agent-errors.ts";
import { fingerprintOf } from "./turn-fingerprint.ts";
import type { TurnSeat } from "./turn-seat.ts";

/** What the request of a turn is known by. */
export interface AskedTurn {
  readonly key: string;
  /** Undefined: the key is looked for in the session's last good turn only, whatever that one asked for. */
  readonly fingerprint: string | undefined;
}

/** A turn that is not run: the result it had before, or why it is refused. */
export type Again = { readonly result: StoredResult } | { readonly error: WireError };

/** @returns undefined for a request without a key */
export function askedOf(command: TurnCommand): AskedTurn | undefined {
  const { idempotencyKey: key, isLastTurnOnly } = command[6] ?? {};
  return key === undefined ? undefined : { key, fingerprint: isLastTurnOnly === true ? undefined : fingerprintOf(command) };
}

/** @returns undefined when the turn is to be run; a promise when the store has to be asked. Never rejects */
export function askedBefore(seat: TurnSeat, asked: AskedTurn): Again | undefined | Promise<Again | undefined> {
  if (asked.fingerprint === undefined) return lastAgain(seat, asked);
  const found = seat.keyed?.find(asked.key, seat.lane.now());
  if (!(found instanceof Promise)) return againOf(seat, asked, found);
  return found.then(
    (turn) => againOf(seat, asked, turn),
    // It may have run: so it must not run now.
    (error: unknown) => ({ error: saveFailure(error) }),
  );
}

function againOf(seat: TurnSeat, asked: AskedTurn, found: KeyedTurn | undefined): Again | undefined {
  if (found === undefined) return lastAgain(seat, asked);
  return found.fingerprint === asked.fingerprint ? { result: found.result } : { error: conflict(asked.key) };
}

/** Of a store that remembers no more, or of another version, or when the rest is forgotten. */
function lastAgain({ lastTurn }: TurnSeat, { key, fingerprint }: AskedTurn): Again | undefined {
  if (lastTurn === undefined || lastTurn.key !== key) return undefined;
  const isOther = fingerprint !== undefined && lastTurn.fingerprint !== undefined && lastTurn.fingerprint !== fingerprint;
  return isOther ? { error: conflict(key) } : { result: lastTurn.result };
}

function conflict(key: string): WireError {
  const message = `idempotency key '${key}' is that of an earlier turn whose request was another`;
  return toWire(new SessionError("IDEMPOTENCY_CONFLICT", message, { details: { key } }));
}
