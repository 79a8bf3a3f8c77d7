/** A worker in a busy loop, and nothing around it: how fast a thread can be told to stop at all. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

export class Spinner {
  readonly #flag = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker = new Worker(new URL("./spin-worker.js", import.meta.url), { workerData: this.#flag });

  /** Begin to spin. Resolves when it was stopped and has said so. */
  async spin(): Promise<void> {
    Atomics.store(this.#flag, 0, 0);
    await this.echo("spin");
  }

  /** By the flag: the worker sees it in its loop. */
  stop(): void {
    Atomics.store(this.#flag, 0, 1);
  }

  /** By a message, there and back. A worker that spins answers nothing. */
  async echo(order = "echo"): Promise<void> {
    const answered = once(this.#worker, "message");
    this.#worker.postMessage(order);
    await answered;
  }

  /** Stop it whatever it does. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
  }
}
