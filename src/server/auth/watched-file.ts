/**
 * A file that is read at start and again whenever it changes.
 *
 *   W1. What is given is always a whole file that was understood: one that is broken, or gone, changes nothing and is told once. One that
 *       cannot be read is tried at every look, as that may pass while the file stays as it is.
 *   W2. A change is seen within the interval. It is looked for, as what systems tell of changed files differs and may stay away.
 *   W3. The timer keeps no process alive, and nothing is taken or told after the end.
 */
import { readFile, stat } from "node:fs/promises";

import type { Logger } from "../../protocol/options.ts";

export interface WatchOptions<T> {
  readonly path: string;
  /** @throws Error what is wrong with the text */
  readonly parse: (text: string, path: string) => T;
  /** Milliseconds between two looks. */
  readonly everyMs: number;
  readonly logger?: Pick<Logger, "info" | "warn"> | undefined;
}

export class WatchedFile<T> {
  readonly #options: WatchOptions<T>;
  #value: T;
  /** State of the file that was read last; undefined: it could not be read. */
  #seen: string | undefined;
  /** Why it could not be read, as it was told; undefined: it was. */
  #unreadable: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  private constructor(options: WatchOptions<T>, value: T, seen: string) {
    this.#options = options;
    this.#value = value;
    this.#seen = seen;
    this.#schedule();
  }

  /** @throws Error when it cannot be read or is not understood: a server does not start on it */
  static async open<T>(options: WatchOptions<T>): Promise<WatchedFile<T>> {
    const seen = await stateOf(options.path);
    return new WatchedFile(options, options.parse(await readFile(options.path, "utf8"), options.path), seen);
  }

  /** Of the last good state. */
  get value(): T {
    return this.#value;
  }

  /** Look now. Never rejects. */
  async reload(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.reload().then(() => this.#schedule()), this.#options.everyMs).unref();
  }

  async #look(): Promise<void> {
    const { path, parse, logger } = this.#options;
    // Looked at ahead of reading: a change in between is seen the next time.
    const state = await stateOf(path);
    if (state === this.#seen) return;
    this.#seen = undefined;
    try {
      const text = await readFile(path, "utf8");
      if (this.#isClosed) return;
      this.#seen = state;
      this.#value = parse(text, path);
      this.#unreadable = undefined;
      logger?.info({ path }, "read again");
    } catch (error) {
      if (this.#isClosed) return;
      const reason = (error as Error).message;
      const unreadable = this.#seen === undefined ? reason : undefined;
      const isTold = unreadable !== undefined && unreadable === this.#unreadable;
      this.#unreadable = unreadable;
      if (!isTold) logger?.warn({ path, reason }, "cannot be used; what was read before stays in force");
    }
  }
}

async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(":");
  } catch {
    return ""; // gone, or hidden: reading says why
  }
}
