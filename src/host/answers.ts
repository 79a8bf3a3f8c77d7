/**
 * What a server that speaks for this host remembers of the requests it has answered, so that one that is sent again is answered again. In
 * the host's store, if there is one that keeps answers, else in memory.
 *
 *   V1. An answer whose `put` or `claim` resolved is found until its time is over: with a store as long as an acknowledged turn is, in
 *       memory while the process lives, as far as there is room.
 *   V2. Of several `claim`s of one key, one lays its answer down, and the others are given that.
 */
import { LRUCache } from "lru-cache";

import { ANSWER_BYTES_MAX, answerKeyProblem, answerProblem } from "../protocol/answers.ts";
import type { Answer } from "../protocol/answers.ts";
import { hostClosed } from "../protocol/errors.ts";
import { refuse } from "../protocol/parse.ts";
import type { StoredSessions } from "./stored-sessions.ts";

/** For servers. Rejects with SessionError: INVALID_PARAMS naming `key`, `value` or `expiresAt`; SESSION_STORE_ERROR, HOST_OVERLOADED, HOST_CLOSED. */
export interface Answers {
  /** False: they are in memory, and gone with the process. */
  readonly isDurable: boolean;
  /** @param key - 1 to 512 characters. @returns what was laid down under it; undefined when there is nothing, or its time is over */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Lay an answer down, in the place of one that is there. @param value - 1 MiB at most. @param expiresAt - epoch milliseconds */
  put(key: string, value: Uint8Array, expiresAt: number): Promise<void>;
  /** As `put`, unless there is one: that one is given, and nothing is changed. */
  claim(key: string, value: Uint8Array, expiresAt: number): Promise<Uint8Array | undefined>;
  /** @returns whether there was one */
  remove(key: string): Promise<boolean>;
}

/** Answers in memory, and their bytes, at most: those go that were used least recently. */
const ANSWERS_MAX = 10_000;
const BYTES_MAX = 64 * ANSWER_BYTES_MAX;

export class StoredAnswers implements Answers {
  readonly isDurable = true;
  readonly #stored: StoredSessions;

  constructor(stored: StoredSessions) {
    this.#stored = stored;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    check(key);
    return owned(await this.#stored.ask(undefined, "getAnswer", key, Date.now()));
  }

  async put(key: string, value: Uint8Array, expiresAt: number): Promise<void> {
    check(key, { value, expiresAt });
    await this.#stored.ask(undefined, "putAnswer", key, { value, expiresAt }, Date.now());
  }

  async claim(key: string, value: Uint8Array, expiresAt: number): Promise<Uint8Array | undefined> {
    check(key, { value, expiresAt });
    return owned(await this.#stored.ask(undefined, "claimAnswer", key, { value, expiresAt }, Date.now()));
  }

  async remove(key: string): Promise<boolean> {
    check(key);
    return this.#stored.ask(undefined, "removeAnswer", key);
  }
}

/** In bytes of its own: what came is a view of a frame, with others' answers in it. */
const owned = (value: Uint8Array | null): Uint8Array | undefined => (value === null ? undefined : new Uint8Array(value));

export class AnswersInMemory implements Answers {
  readonly isDurable = false;
  readonly #answers = new LRUCache<string, Answer>({ max: ANSWERS_MAX, maxSize: BYTES_MAX });
  readonly #isClosed: () => boolean;

  /** @param isClosed - whether the host is shut down */
  constructor(isClosed: () => boolean) {
    this.#isClosed = isClosed;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    check(key);
    this.#assertOpen();
    return this.#find(key);
  }

  async put(key: string, value: Uint8Array, expiresAt: number): Promise<void> {
    check(key, { value, expiresAt });
    this.#assertOpen();
    this.#lay(key, value, expiresAt);
  }

  async claim(key: string, value: Uint8Array, expiresAt: number): Promise<Uint8Array | undefined> {
    check(key, { value, expiresAt });
    this.#assertOpen();
    const known = this.#find(key);
    if (known === undefined) this.#lay(key, value, expiresAt);
    return known;
  }

  async remove(key: string): Promise<boolean> {
    check(key);
    this.#assertOpen();
    return this.#answers.delete(key);
  }

  #find(key: string): Uint8Array | undefined {
    const known = this.#answers.get(key);
    return known === undefined || known.expiresAt <= Date.now() ? undefined : Uint8Array.from(known.value);
  }

  #lay(key: string, value: Uint8Array, expiresAt: number): void {
    this.#answers.set(key, { value: Uint8Array.from(value), expiresAt }, { size: ENTRY_BYTES + value.length });
  }

  #assertOpen(): void {
    if (!this.#isClosed()) return;
    this.#answers.clear();
    throw hostClosed();
  }
}

/** What one costs beside its value. */
const ENTRY_BYTES = 1024;

/** @throws SessionError INVALID_PARAMS */
function check(key: string, answer?: Answer): void {
  const problem = answerKeyProblem(key);
  if (problem !== undefined) refuse("key", problem);
  const wrong = answer && answerProblem(answer);
  if (wrong !== undefined) refuse(wrong.field, wrong.problem);
}
