/**
 * Answers that a server remembers, so that a request which is sent again is answered again and does nothing twice: bytes by a key, each
 * until its time is over. They belong to no session.
 */

/** Characters of a key, at most. */
export const ANSWER_KEY_MAX = 512;
/** Bytes of an answer, at most. */
export const ANSWER_BYTES_MAX = 1024 * 1024;

export interface Answer {
  readonly value: Uint8Array;
  /** Epoch milliseconds; from then on it is as if it were not there. */
  readonly expiresAt: number;
}

/** @returns what is wrong with a key, undefined for one that is one */
export function answerKeyProblem(key: unknown): string | undefined {
  if (typeof key !== "string" || key === "" || key.length > ANSWER_KEY_MAX) return `must be a text of 1 to ${ANSWER_KEY_MAX} characters`;
  // Of half a surrogate pair UTF-8 makes something else: two such keys would be one.
  return /\p{Surrogate}/u.test(key) ? "must be well-formed Unicode" : undefined;
}

/** @returns what is wrong with an answer, and with which of its members; undefined for one that is one */
export function answerProblem({ value, expiresAt }: Answer): { field: keyof Answer; problem: string } | undefined {
  if (!(value instanceof Uint8Array)) return { field: "value", problem: "must be bytes" };
  if (value.length > ANSWER_BYTES_MAX) return { field: "value", problem: `is ${value.length} bytes, the limit is ${ANSWER_BYTES_MAX}` };
  if (!Number.isSafeInteger(expiresAt) || expiresAt < 0)
    return { field: "expiresAt", problem: "must be a time in whole epoch milliseconds" };
  return undefined;
}
