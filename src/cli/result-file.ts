/**
 * The output of a run whose sessions are stored: records are added to a file, and one counts as written when it is as durable as a turn
 * is. A session's next turn waits for that, so of each session at most one turn is stored whose result is not in the file.
 *
 *   F1. Records stand in the order of the calls; what was made while a write was under way goes out as one write.
 *   F2. A write resolves when its record is with the operating system, or on disk where that is asked for, or the file has failed.
 *   F3. After the file has failed nothing is written and nobody waits; the failure is told once.
 */
import type { FileHandle } from "node:fs/promises";

import type { ResultSink } from "./result-writer.ts";

interface Waiting {
  readonly text: string;
  readonly resolve: () => void;
}

export class ResultFile implements ResultSink {
  readonly #file: Pick<FileHandle, "appendFile" | "datasync" | "close">;
  readonly #isSynced: boolean;
  readonly #onFailed: (error: NodeJS.ErrnoException) => void;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  /**
   * @param isSynced - wait for the disk
   * @param onFailed - the file has failed: nobody will get what is written from now on
   */
  constructor(
    file: Pick<FileHandle, "appendFile" | "datasync" | "close">,
    isSynced: boolean,
    onFailed: (error: NodeJS.ErrnoException) => void,
  ) {
    this.#file = file;
    this.#isSynced = isSynced;
    this.#onFailed = onFailed;
  }

  write(record: object): Promise<void> {
    if (this.#hasFailed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ text: `${JSON.stringify(record)}\n`, resolve });
      this.#writing ??= this.#drain();
    });
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  /** As flush, and closes the file. */
  async end(): Promise<void> {
    await this.flush();
    await this.#attempt(() => this.#file.close());
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // results come in bursts
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0);
      await this.#attempt(async () => {
        await this.#file.appendFile(group.map(({ text }) => text).join(""));
        if (this.#isSynced) await this.#file.datasync();
      });
      for (const { resolve } of group) resolve();
    }
    this.#writing = undefined;
  }

  async #attempt(act: () => Promise<void>): Promise<void> {
    if (this.#hasFailed) return;
    try {
      await act();
    } catch (error) {
      this.#hasFailed = true;
      this.#onFailed(error as NodeJS.ErrnoException);
    }
  }
}
