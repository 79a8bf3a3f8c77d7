/**
 * How many sessions a tenant has, without asking the store each time.
 *
 *   S1. The number is learnt by listing when it is first needed, then kept by what this server creates and ends.
 *   S2. Creations that are under way count, so many at once do not get past the limit together.
 *   S3. Nobody is refused on a number that is older than AT_LIMIT_MS, and no number older than KEPT_MS is used: what came or went by other
 *       ways than this server (the library, the command line, a lane that was lost) is known after that.
 */
const AT_LIMIT_MS = 10_000;
const KEPT_MS = 600_000;

/** @returns how many there are; may wait for the store, and reject */
export type CountSessions = () => Promise<number>;

export class SessionCount {
  readonly #count: CountSessions;
  #known: number | undefined;
  #learntAtMs = 0;
  #learning: Promise<void> | undefined;
  #underWay = 0;
  /** Changes while it is being learnt: whether the listing saw them is not known, so creations are taken as unseen, and ends as seen. */
  #createdMeanwhile = 0;

  constructor(count: CountSessions) {
    this.#count = count;
  }

  /** Undefined: not learnt yet. */
  get known(): number | undefined {
    return this.#known === undefined ? undefined : this.#known + this.#underWay;
  }

  /** Creations under way. */
  get underWay(): number {
    return this.#underWay;
  }

  /** @returns whether one more may be created: it then counts until `created` or `notCreated`. Rejects as the listing does */
  async reserve(limit: number, now: () => number): Promise<boolean> {
    if (this.#known === undefined || now() - this.#learntAtMs > KEPT_MS) await this.#learn(now);
    if ((this.known as number) >= limit && now() - this.#learntAtMs > AT_LIMIT_MS) await this.#learn(now);
    if ((this.known as number) >= limit) return false;
    this.#underWay++;
    return true;
  }

  created(): void {
    this.#underWay--;
    if (this.#known !== undefined) this.#known++;
    if (this.#learning !== undefined) this.#createdMeanwhile++;
  }

  notCreated(): void {
    this.#underWay--;
  }

  ended(): void {
    if (this.#known !== undefined && this.#known > 0) this.#known--;
  }

  async #learn(now: () => number): Promise<void> {
    this.#learning ??= this.#ask(now).finally(() => (this.#learning = undefined));
    await this.#learning;
  }

  async #ask(now: () => number): Promise<void> {
    this.#createdMeanwhile = 0;
    const found = await this.#count();
    this.#known = found + this.#createdMeanwhile;
    this.#learntAtMs = now();
  }
}
