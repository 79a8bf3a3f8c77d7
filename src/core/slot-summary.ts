/**
 * A session's summary in shared memory: counts, usage and time of its last boundary. The session's lane writes, anybody reads,
 * nobody waits.
 *
 * There are two copies. The writer fills the one that does not count and then makes it count by adding 1 to VERSION, so a writer
 * that is killed half-way leaves the last good summary in place, and a reader is torn only if two whole writes pass while it reads.
 */
import type { Usage } from "../protocol/session-model.ts";
import { SUMMARY, SUMMARY_INTS, SUMMARY_WORDS, VERSION } from "./slot-layout.ts";
import type { SlotTable } from "./slot-table.ts";

export interface Summary {
  /** Epoch milliseconds. */
  readonly updatedAt: number;
  readonly messageCount: number;
  readonly usage: Usage;
}

/** Reads before giving in to a writer that never rests; then the newest copy is taken as it is. */
const READ_TRIES = 8;
const LOW_BITS = 2 ** 31;
const ABSENT = -1;

/** Publish a summary. The session's lane only. */
export function writeSummary(table: SlotTable, slot: number, summary: Summary): void {
  const words = table.words(slot);
  const base = table.base(slot);
  const version = (Atomics.load(words, base + VERSION) + 1) & 0x7fffffff;
  const copy = base + SUMMARY + (version & 1) * SUMMARY_INTS;
  const { updatedAt, messageCount, usage } = summary;
  Atomics.store(words, copy + SUMMARY_WORDS.messageCount, messageCount);
  storePair(words, copy + SUMMARY_WORDS.updatedAt, updatedAt);
  storePair(words, copy + SUMMARY_WORDS.inputTokens, usage.inputTokens);
  storePair(words, copy + SUMMARY_WORDS.outputTokens, usage.outputTokens);
  storePair(words, copy + SUMMARY_WORDS.cacheCreationTokens, usage.cacheCreationTokens);
  storePair(words, copy + SUMMARY_WORDS.cacheReadTokens, usage.cacheReadTokens);
  Atomics.store(words, base + VERSION, version);
}

/** @returns the last published summary; all zero before the first */
export function readSummary(table: SlotTable, slot: number): Summary {
  const words = table.words(slot);
  const base = table.base(slot);
  for (let attempt = 1; ; attempt++) {
    const version = Atomics.load(words, base + VERSION);
    const summary = readCopy(words, base + SUMMARY + (version & 1) * SUMMARY_INTS);
    if (attempt === READ_TRIES || Atomics.load(words, base + VERSION) === version) return summary;
  }
}

function readCopy(words: Int32Array, copy: number): Summary {
  const usage: Usage = {
    inputTokens: loadPair(words, copy + SUMMARY_WORDS.inputTokens) ?? 0,
    outputTokens: loadPair(words, copy + SUMMARY_WORDS.outputTokens) ?? 0,
  };
  const created = loadPair(words, copy + SUMMARY_WORDS.cacheCreationTokens);
  const read = loadPair(words, copy + SUMMARY_WORDS.cacheReadTokens);
  if (created !== undefined) usage.cacheCreationTokens = created;
  if (read !== undefined) usage.cacheReadTokens = read;
  return {
    updatedAt: loadPair(words, copy + SUMMARY_WORDS.updatedAt) ?? 0,
    messageCount: Atomics.load(words, copy + SUMMARY_WORDS.messageCount),
    usage,
  };
}

function storePair(words: Int32Array, at: number, value: number | undefined): void {
  if (value === undefined) {
    Atomics.store(words, at, ABSENT);
    return;
  }
  const whole = Math.floor(value);
  const high = Math.floor(whole / LOW_BITS);
  Atomics.store(words, at, high);
  Atomics.store(words, at + 1, whole - high * LOW_BITS);
}

function loadPair(words: Int32Array, at: number): number | undefined {
  const high = Atomics.load(words, at);
  return high === ABSENT ? undefined : high * LOW_BITS + Atomics.load(words, at + 1);
}
