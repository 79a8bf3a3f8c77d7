/**
 * Writes records as JSON Lines to a stream, no faster than the stream takes them.
 *
 *   W1. Records come out in the order of the calls.
 *   W2. After the stream has failed nothing is written and nobody waits; the failure is told once.
 */
import type { Writable } from "node:stream";

/** Takes the records of a run. */
export interface ResultSink {
  /** @returns a promise when whoever writes is to wait for it */
  write(record: object): void | Promise<void>;
  /** Resolves when everything written is out, or what takes it has failed. */
  flush(): Promise<void>;
  /** As flush, and closes what takes it. */
  end(): Promise<void>;
}

export class ResultWriter implements ResultSink {
  readonly #stream: Writable;
  readonly #onFailed: (error: NodeJS.ErrnoException) => void;
  #failure: NodeJS.ErrnoException | undefined;
  #isCorked = false;
  #drain: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** @param onFailed - the stream has failed: nobody will get what is written from now on */
  constructor(stream: Writable, onFailed: (error: NodeJS.ErrnoException) => void) {
    this.#stream = stream;
    this.#onFailed = onFailed;
    stream.on("drain", () => this.#drained());
    stream.on("error", (error: NodeJS.ErrnoException) => this.#fail(error));
  }

  /** Nobody gets what is written from now on. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** @returns when the stream is full, a promise of its drain: await it before writing more */
  write(record: object): void | Promise<void> {
    return this.print(`${JSON.stringify(record)}\n`);
  }

  /** As write, for text. */
  print(text: string): void | Promise<void> {
    if (this.#failure !== undefined) return undefined;
    this.#cork();
    if (this.#stream.write(text)) return undefined;
    this.#drain ??= deferred();
    return this.#drain.promise;
  }

  /** Resolves when everything written is out, or the stream has failed. The stream stays open. */
  flush(): Promise<void> {
    if (this.#failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stream.write("", (error) => {
        if (error) this.#fail(error);
        resolve();
      });
    });
  }

  /** As flush, and closes the stream: for a file, whose errors may come as late as this. */
  end(): Promise<void> {
    if (this.#failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stream.once("close", resolve);
      this.#stream.end();
    });
  }

  /** Records of one tick go out as one write: results come in bursts, and each write is a system call. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#stream.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#stream.uncork();
    });
  }

  #drained(): void {
    this.#drain?.resolve();
    this.#drain = undefined;
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#drained();
    this.#onFailed(error);
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
