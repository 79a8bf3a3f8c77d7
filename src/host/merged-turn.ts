/**
 * One turn for several callers whose prompts were joined.
 *
 *   G1. Every caller is answered once, with a result of his own, and told the same ticket.
 *   G2. A caller who gives up while others still want the turn is answered at once, and the turn goes on. It is interrupted when the last
 *       one gives up.
 */
import { isDeepStrictEqual } from "node:util";

import { agentFailure } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { RunResult } from "../protocol/views.ts";
import { SharedConsumer } from "./shared-consumer.ts";
import type { TurnStart } from "./turn-table.ts";

const SEPARATOR = "\n\n";

export interface MergedCaller {
  readonly start: TurnStart;
  resolve(result: RunResult): void;
  reject(error: unknown): void;
}

export class MergedTurn {
  readonly #id: SessionId;
  readonly #callers: Set<MergedCaller>;
  readonly #consumer: SharedConsumer | undefined;
  readonly #interrupt = new AbortController();
  readonly #cleanups: (() => void)[] = [];
  /** What the turn is started with. */
  readonly start: TurnStart;

  constructor(id: SessionId, callers: readonly MergedCaller[]) {
    this.#id = id;
    this.#callers = new Set(callers);
    const starts = callers.map(({ start }) => start);
    const consumers = starts.flatMap(({ consumer }) => consumer ?? []);
    this.#consumer = consumers.length === 0 ? undefined : new SharedConsumer(consumers);
    const { hostMode, extras, timeoutMs, trace } = starts[0] as TurnStart;
    this.start = {
      prompt: starts.map(({ prompt }) => prompt).join(SEPARATOR),
      hostMode,
      extras,
      timeoutMs,
      trace,
      consumer: this.#consumer,
      signal: this.#interrupt.signal,
      onAdmitted: (ticket) => this.#admitted(ticket),
    };
    for (const caller of callers) this.#watch(caller);
  }

  #watch(caller: MergedCaller): void {
    const { signal } = caller.start;
    if (signal === undefined) return;
    const onAbort = (): void => this.#aborted(caller);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#cleanups.push(() => signal.removeEventListener("abort", onAbort));
  }

  #admitted(ticket: number): void {
    for (const caller of this.#callers) {
      try {
        caller.start.onAdmitted?.(ticket);
      } catch (thrown) {
        this.#leave(caller, thrown);
        if (this.#callers.size === 0) this.#interrupt.abort();
      }
    }
  }

  /** G2 */
  #aborted(caller: MergedCaller): void {
    if (!this.#callers.has(caller)) return;
    if (this.#callers.size === 1) this.#interrupt.abort();
    else this.#leave(caller, agentFailure("cancelled", "Run was cancelled", { sessionId: this.#id, details: { reason: "signal" } }));
  }

  #leave(caller: MergedCaller, error: unknown): void {
    if (!this.#callers.delete(caller)) return;
    const { consumer } = caller.start;
    if (consumer !== undefined) this.#consumer?.leave(consumer, error);
    caller.reject(error);
  }

  /** Answer every caller as the turn ends (G1). */
  follow(outcome: Promise<RunResult>): void {
    outcome.then(
      (result) => {
        for (const caller of this.#over()) caller.resolve(structuredClone(result));
      },
      (error: unknown) => this.fail(error),
    );
  }

  /** It ends with an error, or never began. */
  fail(error: unknown): void {
    for (const caller of this.#over()) caller.reject(error);
  }

  #over(): MergedCaller[] {
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    const callers = [...this.#callers];
    this.#callers.clear();
    return callers;
  }
}

/**
 * @param others - callers that are merged already
 * @param maxPromptBytes - of UTF-8, for the joined prompt
 * @returns whether a caller's turn can be one with theirs: what they ask for beside the prompt is the same, and each wants no more of the
 * turn than its result. A turn with an idempotency key, one that resumes, and one with a receipt are somebody's own
 */
export function goTogether(caller: MergedCaller, others: readonly MergedCaller[], maxPromptBytes: number): boolean {
  const mine = caller.start;
  const theirs = (others[0] as MergedCaller).start;
  if (isOwn(mine) || isOwn(theirs)) return false;
  if ((mine.hostMode ?? false) !== (theirs.hostMode ?? false) || mine.timeoutMs !== theirs.timeoutMs) return false;
  if (!isDeepStrictEqual(mine.extras, theirs.extras)) return false;
  let bytes = Buffer.byteLength(mine.prompt);
  for (const { start } of others) bytes += Buffer.byteLength(start.prompt) + SEPARATOR.length;
  return bytes <= maxPromptBytes;
}

function isOwn({ extras, onBoundary }: TurnStart): boolean {
  return onBoundary !== undefined || extras?.idempotencyKey !== undefined || extras?.executionKind === "resume_pending";
}
