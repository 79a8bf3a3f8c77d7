/** What the store in memory remembers by keys: turns of a session, and answers of a server. */
import type { Answer } from "../protocol/answers.ts";
import { KEYED_TURNS_MAX, KEYED_TURN_KEPT_MS } from "../protocol/stored-session.ts";
import type { KeyedTurn } from "../protocol/stored-session.ts";
import { checkAnswer } from "./session-rules.ts";

/** Rows that one call removes at most, beside its own. */
const PRUNED_AT_ONCE = 8;

/** Turns of one session, oldest first. */
export class KeyedTurns {
  readonly #turns = new Map<string, KeyedTurn>();

  get keys(): string[] {
    return [...this.#turns.keys()];
  }

  find(key: string, now: number): KeyedTurn | undefined {
    const turn = this.#turns.get(key);
    return turn === undefined || isOver(turn, now) ? undefined : turn;
  }

  add(turn: KeyedTurn): void {
    this.#turns.delete(turn.key);
    this.#turns.set(turn.key, turn);
    let looked = 0;
    for (const oldest of this.#turns.values()) {
      if (this.#turns.size <= KEYED_TURNS_MAX && (!isOver(oldest, turn.at) || ++looked > PRUNED_AT_ONCE)) return;
      this.#turns.delete(oldest.key);
    }
  }
}

const isOver = ({ at }: KeyedTurn, now: number): boolean => at + KEYED_TURN_KEPT_MS <= now;

export class MemoryAnswers {
  readonly #answers = new Map<string, Answer>();

  get(key: string, now: number): Uint8Array | undefined {
    checkAnswer(key);
    const known = this.#answers.get(key);
    return known === undefined || known.expiresAt <= now ? undefined : Uint8Array.from(known.value);
  }

  put(key: string, answer: Answer, now: number): void {
    checkAnswer(key, answer);
    this.#answers.delete(key);
    this.#answers.set(key, { value: Uint8Array.from(answer.value), expiresAt: answer.expiresAt });
    let looked = 0;
    for (const [other, { expiresAt }] of this.#answers) {
      if (++looked > PRUNED_AT_ONCE) return;
      if (expiresAt <= now) this.#answers.delete(other);
      else if (other !== key) this.#lookAtLater(other);
    }
  }

  /** So that every row is looked at in its turn, whatever expires first. */
  #lookAtLater(key: string): void {
    const answer = this.#answers.get(key) as Answer;
    this.#answers.delete(key);
    this.#answers.set(key, answer);
  }

  claim(key: string, answer: Answer, now: number): Uint8Array | undefined {
    checkAnswer(key, answer);
    const known = this.get(key, now);
    if (known === undefined) this.put(key, answer, now);
    return known;
  }

  remove(key: string): boolean {
    checkAnswer(key);
    return this.#answers.delete(key);
  }

  clear(): void {
    this.#answers.clear();
  }
}
