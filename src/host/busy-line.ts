/**
 * The line of turns that wait for one session, in the order in which they will run. Pure: what a caller is, is its owner's business.
 *
 *   Y1. A turn goes to the end of the line. One that interrupts goes to the front, ahead of all that wait; the others keep their order.
 *   Y2. At most one turn of mode "latest" waits: the next one takes its place, wherever in the line that is.
 *   Y3. A turn of mode "merge" joins the last place, if that is a "merge" too and its owner says that the two go together.
 *   Y4. A place is in the line while somebody waits in it.
 */
import type { StartTurnRequest } from "../protocol/requests.ts";

/** What a turn may do when its session is busy, other than being refused. */
export type WaitingMode = Exclude<NonNullable<StartTurnRequest["onBusy"]>, "reject">;

/** One turn to come, and those who wait for it: more than one where turns were merged. */
export interface Place<C> {
  readonly mode: WaitingMode;
  readonly callers: C[];
}

export class BusyLine<C> {
  readonly #places: Place<C>[] = [];
  #size = 0;

  /** Callers that wait. */
  get size(): number {
    return this.#size;
  }

  /** Those who wait, in the order of their turns. */
  get callers(): C[] {
    return this.#places.flatMap(({ callers }) => callers);
  }

  /** @returns whether another caller adds to the line; false: it takes the place of one */
  grows(mode: WaitingMode): boolean {
    return mode !== "latest" || !this.#places.some((place) => place.mode === "latest");
  }

  /**
   * Give a caller its place.
   *
   * @param goesWith - whether it may share the place of those who are there (Y3)
   * @returns the place, and who has lost it (Y2)
   */
  put(mode: WaitingMode, caller: C, goesWith: (others: readonly C[]) => boolean): { place: Place<C>; superseded: readonly C[] } {
    this.#size++;
    const last = this.#places.at(-1);
    if (mode === "merge" && last?.mode === "merge" && goesWith(last.callers)) {
      last.callers.push(caller);
      return { place: last, superseded: [] };
    }
    const place: Place<C> = { mode, callers: [caller] };
    if (mode === "interrupt" || mode === "rollback") this.#places.unshift(place);
    else {
      const at = mode === "latest" ? this.#places.findIndex((other) => other.mode === "latest") : -1;
      if (at >= 0) {
        const [before] = this.#places.splice(at, 1, place) as [Place<C>];
        this.#size -= before.callers.length;
        return { place, superseded: before.callers };
      }
      this.#places.push(place);
    }
    return { place, superseded: [] };
  }

  /** @returns the number of the place, from 1 on; 0 when it is not in the line */
  position(place: Place<C>): number {
    return this.#places.indexOf(place) + 1;
  }

  /** A caller waits no longer. @returns whether it did */
  leave(place: Place<C>, caller: C): boolean {
    const at = this.#places.indexOf(place);
    const among = at < 0 ? -1 : place.callers.indexOf(caller);
    if (among < 0) return false;
    place.callers.splice(among, 1);
    this.#size--;
    if (place.callers.length === 0) this.#places.splice(at, 1);
    return true;
  }

  /** Take the first place out of the line: its turn has come. */
  shift(): Place<C> | undefined {
    const place = this.#places.shift();
    if (place !== undefined) this.#size -= place.callers.length;
    return place;
  }
}
