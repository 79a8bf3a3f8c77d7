/** The driver's end of a contender's process. */
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import type { Figures } from "./case.ts";

export type Order = { readonly do: "open"; readonly scenario: string } | { readonly do: "round" } | { readonly do: "close" };
export interface Answer {
  readonly setup?: string | undefined;
  readonly figures?: Figures;
  /** HDR histogram, compressed, base64. */
  readonly latencies?: string | undefined;
  readonly error?: string;
}

/** Milliseconds an order may take: far beyond any; it catches a contender that hangs. */
const ORDER_MAX_MS = 180_000;

export class ContenderLink {
  readonly #child: ChildProcess;
  readonly #name: string;

  constructor(caseName: string, contender: string) {
    this.#name = `${caseName}/${contender}`;
    this.#child = fork(fileURLToPath(new URL("./contender-process.js", import.meta.url)), [caseName, contender], {
      execArgv: ["--expose-gc", "--enable-source-maps"],
    });
  }

  open(scenario: string): Promise<Answer> {
    return this.#give({ do: "open", scenario });
  }

  round(): Promise<Answer> {
    return this.#give({ do: "round" });
  }

  close(): Promise<Answer> {
    return this.#give({ do: "close" });
  }

  /** End the process. Waits until it is gone. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  /** @throws Error with what went wrong in the contender, or when it died or hangs */
  async #give(order: Order): Promise<Answer> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`${this.#name} did not ${order.do} in ${ORDER_MAX_MS} ms`)), ORDER_MAX_MS);
    try {
      const answered = once(this.#child, "message", { signal: abort.signal });
      const died = once(this.#child, "exit", { signal: abort.signal }).then(([code, signal]) => {
        throw new Error(`${this.#name} died (${code ?? signal})`);
      });
      died.catch(() => {});
      this.#child.send(order);
      const [answer] = (await Promise.race([answered, died])) as [Answer];
      if (answer.error !== undefined) throw new Error(`${this.#name} failed to ${order.do}: ${answer.error}`);
      return answer;
    } catch (error) {
      throw abort.signal.aborted ? abort.signal.reason : error;
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }
}
