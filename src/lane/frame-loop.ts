/**
 * Executes the commands of the frames that main sends, in their order, and lets the event loop turn in between.
 *
 *   W1. No more than WORK_SLICE_MS of commands run before the event loop gets its turn.
 *   W2. A rung doorbell is noticed before the next command, whatever is queued.
 *   W3. Every frame is counted as taken once: when its last command was executed, or when it cannot be read.
 */
import type { LaneWords } from "../core/lane-words.ts";
import { Mailbox } from "../core/mailbox.ts";
import type { LaneCommand } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import { frameReader } from "../transport/codec.ts";
import { OUTPUT_AGE_MAX_MS } from "./lane-context.ts";
import type { LaneContext } from "./lane-context.ts";

/** Milliseconds of commands between two looks at the event loop. */
const WORK_SLICE_MS = 1;

export interface FrameLoopParts {
  readonly words: LaneWords;
  readonly outbox: LaneContext["outbox"];
  /** Before each slice of work. */
  onSlice(): void;
  lookAtDoorbell(): void;
  /** Never throws. */
  dispatch(command: LaneCommand): void;
  onUnreadable(error: unknown): void;
}

export class FrameLoop {
  readonly #parts: FrameLoopParts;
  readonly #read = frameReader<LaneCommand>(COMMANDS);
  /** Frames behind the one at work. Main bounds them: it sees how many are not taken. */
  readonly #frames = new Mailbox<Uint8Array>(Infinity);
  /** Of the frame at work; its first `#at` commands were executed. */
  #commands: LaneCommand[] = [];
  #at = 0;
  #isWorking = false;

  constructor(parts: FrameLoopParts) {
    this.#parts = parts;
  }

  /** A frame has come. Its commands are executed now, or behind those that wait. */
  take(frame: Uint8Array): void {
    if (this.#isWorking) {
      this.#frames.push(frame);
      return;
    }
    this.#begin(frame);
    this.#work();
  }

  #begin(frame: Uint8Array): void {
    this.#at = 0;
    try {
      this.#commands = this.#read(frame);
    } catch (error) {
      this.#commands = [];
      this.#parts.onUnreadable(error);
    }
  }

  readonly #work = (): void => {
    const parts = this.#parts;
    parts.onSlice();
    this.#isWorking = true;
    const startedAt = performance.now();
    for (let isOver = false; !isOver;) {
      if (this.#at < this.#commands.length) {
        parts.lookAtDoorbell();
        parts.dispatch(this.#commands[this.#at++] as LaneCommand);
        const nowMs = performance.now();
        parts.outbox.flushIfOlder(nowMs, OUTPUT_AGE_MAX_MS);
        isOver = nowMs - startedAt > WORK_SLICE_MS;
      }
      if (this.#at < this.#commands.length) continue;
      parts.words.take(); // W3
      const next = this.#frames.shift();
      if (next === undefined) {
        this.#commands = [];
        this.#at = 0;
        this.#isWorking = false;
        break;
      }
      this.#begin(next);
    }
    // Main may have rung and sent no WAKE, because one was in the frame that is taken now.
    parts.lookAtDoorbell();
    if (this.#isWorking) setImmediate(this.#work);
  };
}
