/** A client in a process of its own: what it takes to ask and to read is not in what is measured of the server. */
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

interface Answer<T> {
  readonly value?: T;
  readonly error?: string;
}

/** The server's end. */
export class ClientProcess {
  readonly #child: ChildProcess;

  /** @param file - a module that calls `obey` */
  constructor(file: URL) {
    this.#child = fork(fileURLToPath(file), { execArgv: [] });
  }

  /** One order at a time. Waits for the answer. @throws Error with what went wrong there, or when the process dies */
  async give<T>(order: object): Promise<T> {
    const child = this.#child;
    const over = new AbortController();
    const { signal } = over;
    const died = once(child, "exit", { signal }).then(() => Promise.reject(new Error("the client's process died")));
    died.catch(() => {});
    try {
      const answered = once(child, "message", { signal });
      child.send(order);
      const [{ value, error }] = (await Promise.race([answered, died])) as [Answer<T>];
      if (error !== undefined) throw new Error(error);
      return value as T;
    } finally {
      over.abort();
    }
  }

  /** Waits until it is gone, and its connections with it. */
  async end(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
}

/** The client's end: answers every order, and ends when the server's process has. */
export function obey<O>(carryOut: (order: O) => Promise<unknown>): void {
  process.on("message", (order: O) => {
    carryOut(order).then(
      (value) => process.send?.({ value }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
}
