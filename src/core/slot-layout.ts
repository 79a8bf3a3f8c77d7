/**
 * Shared-memory layout of one session slot: `SLOT_INTS` consecutive Int32 words of a segment. Nothing else may spell an index.
 *
 * | word  | name            | written by                 | meaning                                                               |
 * | ----- | --------------- | -------------------------- | --------------------------------------------------------------------- |
 * | 0     | LOCK            | main takes, lane frees     | 0 free, ticket word of the running turn, -1 housekeeping              |
 * | 1     | VERDICT         | main and lane, by CAS      | +t interrupt asked for turn t, -t turn t sealed, anything else: open  |
 * | 2     | BOUNDARY_CANCEL | main                       | ticket word of the turn that shall stop at its next boundary          |
 * | 3     | STATE           | lane                       | 0 idle, 1 running                                                     |
 * | 4     | GENERATION      | main                       | which owner of the slot this is; grows with every reuse               |
 * | 5     | SUBSCRIBERS     | main                       | how many subscribers the session has                                  |
 * | 6     | VERSION         | lane                       | how often the summary was written; the low bit says which copy counts |
 * | 7     | (spare)         |                            |                                                                       |
 * | 8-18  | SUMMARY copy 0  | lane                       | see SUMMARY_WORDS                                                     |
 * | 19-29 | SUMMARY copy 1  | lane                       |                                                                       |
 * | 30-31 | (spare)         |                            | a slot is 128 bytes, two cache lines                                  |
 *
 * Memory order: every access is sequentially consistent (Atomics). A lane writes the summary copy that does not count, then VERSION,
 * then STATE, then LOCK; so whoever sees LOCK free sees the summary of the turn that freed it.
 */
export const LOCK = 0;
export const VERDICT = 1;
export const BOUNDARY_CANCEL = 2;
export const STATE = 3;
export const GENERATION = 4;
export const SUBSCRIBERS = 5;
export const VERSION = 6;
export const SUMMARY = 8;
export const SLOT_INTS = 32;

/** Words of one summary copy, from its start. 64-bit values are pairs: value = high × 2^31 + low. An absent count is -1 in its high word. */
export const SUMMARY_WORDS = {
  messageCount: 0,
  updatedAt: 1,
  inputTokens: 3,
  outputTokens: 5,
  cacheCreationTokens: 7,
  cacheReadTokens: 9,
} as const;
export const SUMMARY_INTS = 11;

export const LOCK_FREE = 0;
export const LOCK_HOUSEKEEPING = -1;
export const STATE_IDLE = 0;
export const STATE_RUNNING = 1;

/** Slots of one segment, a power of two. A segment is 512 KiB. */
export const SEGMENT_BITS = 12;
export const SEGMENT_SLOTS = 1 << SEGMENT_BITS;
export const SEGMENT_BYTES = SEGMENT_SLOTS * SLOT_INTS * Int32Array.BYTES_PER_ELEMENT;
/** Slots a host can have at most: slot numbers stay small integers. */
export const SLOTS_MAX = 1 << 26;

/**
 * Shared words of one lane.
 *
 * | word | name         | written by | meaning                                                                 |
 * | ---- | ------------ | ---------- | ----------------------------------------------------------------------- |
 * | 0    | HEARTBEAT    | lane       | epoch milliseconds, modulo 2^31; 0 before the first beat          |
 * | 1    | RUNNING_SLOT | lane       | 1 + slot of the session whose code runs now, synchronously; 0 none      |
 * | 2    | DOORBELL     | main       | grows with every interrupt or boundary cancel asked of this lane        |
 * | 3    | MAY_POLL     | main       | 1: a core is left for this lane's loop to poll on                       |
 * | 4    | TAKEN        | lane       | how many frames of main's it is done with, modulo 2^32                  |
 * | 5    | HEAP_USED    | lane       | KiB of its heap's old generation in use, garbage included               |
 * | 6    | HEAP_LIMIT   | lane       | KiB the old generation may have; beyond, the thread ends. 0: not known  |
 * | 7    | EXTERNAL     | lane       | KiB outside that heap which its objects hold: buffers, mostly           |
 * | 8    | ATTRIBUTE    | main       | 1: RUNNING_SLOT is to be right after an await too                       |
 */
export const HEARTBEAT = 0;
export const RUNNING_SLOT = 1;
export const DOORBELL = 2;
export const MAY_POLL = 3;
export const TAKEN = 4;
export const HEAP_USED = 5;
export const HEAP_LIMIT = 6;
export const EXTERNAL = 7;
export const ATTRIBUTE = 8;
export const LANE_INTS = 16;
