/**
 * Whose code runs after an await: for as long as main asks for it, promises are marked with the session that made them, and what goes on
 * from them is that session's (RUNNING_SLOT). Off, it costs nothing; on, it costs every promise of the lane (docs/performance.md), so main
 * asks for a second at a time, of lanes that are overloaded.
 *
 *   B1. What is marked is marked by whoever ran when it was made, else as the promise it came from.
 *   B2. A turn that began before is found when it next emits, asks whether it is interrupted, or takes its signal.
 */
import { promiseHooks } from "node:v8";

import type { LaneWords } from "../core/lane-words.ts";

/** Slot of the session a promise belongs to. */
const OWNER = Symbol("warren.owner");
type Marked = Promise<unknown> & { [OWNER]?: number };

export class Attribution {
  readonly #words: LaneWords;
  #stop: (() => void) | undefined;
  #isClearing = false;

  constructor(words: LaneWords) {
    this.#words = words;
  }

  get isOn(): boolean {
    return this.#stop !== undefined;
  }

  /** Do what main asks for now. */
  look(): void {
    const isWanted = this.#words.isAttributing();
    if (isWanted === this.isOn) return;
    if (isWanted) this.#start();
    else this.close();
  }

  #start(): void {
    const words = this.#words;
    const stop = promiseHooks.createHook({
      init: (promise: Marked, parent: Marked | undefined) => {
        const owner = words.runningSlot() ?? parent?.[OWNER];
        if (owner !== undefined) promise[OWNER] = owner;
      },
      before: (promise: Marked) => words.setRunning(promise[OWNER]),
      after: () => words.setRunning(undefined),
    }) as () => void;
    this.#stop = stop;
  }

  close(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Code of this session runs that nobody has seen coming (B2). */
  found(slot: number): void {
    if (this.#stop === undefined || this.#words.runningSlot() !== undefined) return;
    this.#words.setRunning(slot);
    if (this.#isClearing) return;
    this.#isClearing = true;
    queueMicrotask(() => {
      this.#isClearing = false;
      this.#words.setRunning(undefined);
    });
  }
}
