/**
 * System context staged for a session: text that goes into exactly the next model call, once.
 *
 * The host keeps the ledger (what is pending, which idempotency keys are taken), so that staging never waits for a lane; the lane
 * keeps a replica of the pending part, and reports what its agent took.
 */
import type { AppendSystemContextRequest } from "../protocol/requests.ts";
import type { PendingSystemContextAppend, SystemContextSnapshot } from "../protocol/session-model.ts";
import type { StoredContext } from "../protocol/stored-session.ts";

/** Stands between the system prompt and each block. */
export const BLOCK_SEPARATOR = "\n\n---\n\n";
/** Idempotency keys a session remembers at most; pending appends at most. The oldest applied key goes first. */
export const CONTEXT_KEYS_MAX = 1024;

type Seen = { text: string; source?: string; state: "pending" | "applied" };
export type StageOutcome =
  | { status: "staged"; append: PendingSystemContextAppend }
  | { status: "duplicate" }
  | { status: "conflict"; existing: Seen }
  | { status: "empty" }
  | { status: "full" };

/** The host's side. */
export class SystemContextLedger {
  readonly #pending: PendingSystemContextAppend[] = [];
  readonly #seen = new Map<string, Seen>();

  /** How many appends were ever staged. */
  #staged = 0;

  /** @returns the ledger a store has. @param taken - how many of all appends the agent has taken by now */
  static from({ staged, pending, seen }: StoredContext, taken: number): SystemContextLedger {
    const ledger = new SystemContextLedger();
    ledger.#staged = staged;
    ledger.#pending.push(...pending);
    for (const [key, entry] of Object.entries(seen)) ledger.#seen.set(key, { ...entry });
    ledger.taken(Math.max(0, taken - (staged - pending.length)));
    return ledger;
  }

  /** Stage an append at once. @param nowMs - epoch milliseconds, kept as acceptedAt */
  stage(request: AppendSystemContextRequest, nowMs: number): StageOutcome {
    const outcome = this.check(request, nowMs);
    if (outcome.status === "staged") this.add(outcome.append);
    return outcome;
  }

  /** What staging would come to; changes nothing. @param nowMs - as for `stage` */
  check(request: AppendSystemContextRequest, nowMs: number): StageOutcome {
    const text = request.text.trim();
    if (text === "") return { status: "empty" };
    const { source, idempotencyKey } = request;
    const known = idempotencyKey === undefined ? undefined : this.#seen.get(idempotencyKey);
    if (known !== undefined) {
      return known.text === text && known.source === source ? { status: "duplicate" } : { status: "conflict", existing: { ...known } };
    }
    if (this.#pending.length >= CONTEXT_KEYS_MAX) return { status: "full" };
    const append: PendingSystemContextAppend = { text, acceptedAt: nowMs };
    if (source !== undefined) append.source = source;
    if (idempotencyKey !== undefined) append.idempotencyKey = idempotencyKey;
    return { status: "staged", append };
  }

  /** An append that `check` found good. */
  add(append: PendingSystemContextAppend): void {
    const { text, source, idempotencyKey } = append;
    this.#staged++;
    this.#pending.push(append);
    if (idempotencyKey !== undefined) this.#remember(idempotencyKey, { text, ...(source !== undefined && { source }), state: "pending" });
  }

  /** What a store keeps when `append` is added. */
  storedWith(append: PendingSystemContextAppend): StoredContext {
    const { pending, seen } = this.snapshot();
    const after = SystemContextLedger.from({ staged: this.#staged, pending, seen }, 0);
    after.add(append);
    return { staged: after.#staged, ...after.snapshot() };
  }

  /** The agent took the oldest `count` pending appends. */
  taken(count: number): void {
    for (const { idempotencyKey } of this.#pending.splice(0, count)) {
      const seen = idempotencyKey === undefined ? undefined : this.#seen.get(idempotencyKey);
      if (seen) seen.state = "applied";
    }
  }

  snapshot(): SystemContextSnapshot {
    return {
      pending: this.#pending.map((append) => ({ ...append })),
      seen: Object.fromEntries([...this.#seen].map(([key, seen]) => [key, { ...seen }])),
    };
  }

  #remember(key: string, seen: Seen): void {
    this.#seen.set(key, seen);
    if (this.#seen.size <= CONTEXT_KEYS_MAX) return;
    for (const [oldest, { state }] of this.#seen) {
      if (state === "pending") continue;
      this.#seen.delete(oldest);
      return;
    }
  }
}

/** @returns appends as blocks, joined by the separator */
export function renderBlocks(appends: readonly PendingSystemContextAppend[]): string {
  return appends
    .map(({ text, source }) => `[Runtime System Context]\n${source === undefined ? "" : `source: ${source}\n`}\n${text.trim()}`)
    .join(BLOCK_SEPARATOR);
}

/** @returns those of the appends, each once, whose block the prompt does not have */
export function appendsMissingIn(systemPrompt: string, appends: readonly PendingSystemContextAppend[]): PendingSystemContextAppend[] {
  let bounded = `${BLOCK_SEPARATOR}${systemPrompt}${BLOCK_SEPARATOR}`;
  return appends.filter((append) => {
    const block = `${BLOCK_SEPARATOR}${renderBlocks([append])}${BLOCK_SEPARATOR}`;
    if (bounded.includes(block)) return false;
    bounded += block;
    return true;
  });
}

/** @returns the prompt with the blocks behind it; an empty prompt is replaced by them; no appends leave it as it is */
export function withBlocks(systemPrompt: string, appends: readonly PendingSystemContextAppend[]): string {
  if (appends.length === 0) return systemPrompt;
  return systemPrompt === "" ? renderBlocks(appends) : `${systemPrompt}${BLOCK_SEPARATOR}${renderBlocks(appends)}`;
}
