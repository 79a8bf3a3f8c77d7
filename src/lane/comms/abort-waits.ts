/** What ends when a signal aborts: many waits of one turn hang on one signal, which has one listener for all of them. */

type Stop = (reason: unknown) => void;

interface Group {
  readonly stops: Set<Stop>;
  readonly onAbort: () => void;
}

export class AbortWaits {
  readonly #groups = new Map<AbortSignal, Group>();

  /** Call `stop` with the reason of the first of the signals that aborts. @returns what takes it back, to be called also when one has */
  onAny(signals: readonly AbortSignal[], stop: Stop): () => void {
    const overs = signals.map((signal) => this.#on(signal, stop));
    return () => {
      for (const over of overs) over();
    };
  }

  #on(signal: AbortSignal, stop: Stop): () => void {
    const group = this.#groups.get(signal) ?? this.#open(signal);
    group.stops.add(stop);
    return () => {
      if (group.stops.delete(stop) && group.stops.size === 0) this.#close(signal, group);
    };
  }

  #open(signal: AbortSignal): Group {
    const stops = new Set<Stop>();
    const onAbort = (): void => {
      this.#groups.delete(signal);
      for (const stop of stops) stop(signal.reason);
    };
    const group = { stops, onAbort };
    this.#groups.set(signal, group);
    signal.addEventListener("abort", onAbort, { once: true });
    return group;
  }

  #close(signal: AbortSignal, group: Group): void {
    if (this.#groups.get(signal) !== group) return;
    this.#groups.delete(signal);
    signal.removeEventListener("abort", group.onAbort);
  }
}
