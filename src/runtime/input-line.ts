/**
 * The inputs of one runtime at work: one after another is handed to the executor, and answered.
 *
 *   X1. An input runs when it is at the head of the queue, in the store (if there is one), and the line is not halted.
 *   X2. Its row is removed when its run has ended, before its outcome is told. That the host closes is not its run's end.
 *      While it cannot be removed no other input begins: behind another turn it would run again, in the next life of the process.
 *   X3. A failed input settles alone; the next one runs. One that met a busy session, or an overloaded host, has not run and stays at the head.
 */
import type { SessionError } from "../protocol/errors.ts";
import { hasErrorCode } from "../protocol/errors.ts";
import type { InputId, SessionId } from "../protocol/ids.ts";
import type { AcceptedInput } from "../protocol/stored-runtime.ts";
import { within } from "../transport/within.ts";
import type { InputTotals, QueuedInput } from "./input-queue.ts";
import { InputQueue } from "./input-queue.ts";
import type { InputTicket, RuntimeExecutor } from "./runtime-adapter.ts";
import type { RuntimeHost, RuntimeRows } from "./runtime-host.ts";

/** How often an input that an overloaded host refuses is tried. Then it fails with that: its caller decides. */
const TRIES_MAX = 3;
const RETRY_AFTER_MS = 100;
/** Between two attempts to remove a row: doubled each time. */
const REMOVAL_RETRY_MS = 100;
const REMOVAL_RETRY_MAX_MS = 5000;

export interface LineParts {
  readonly host: RuntimeHost;
  /** Undefined: in memory only. */
  readonly rows: RuntimeRows | undefined;
  readonly totals: InputTotals;
  /** An input found that there is no such session any more. */
  readonly onGone: (id: SessionId, error: SessionError) => void;
}

/** Waits for something; gives what ends the wait for it. */
type Wait = (over: () => void) => () => void;

const nothing = (): void => {};

const later =
  (ms: number): Wait =>
  (over) => {
    const timer = setTimeout(over, ms);
    return () => clearTimeout(timer);
  };

export class InputLine {
  readonly #id: SessionId;
  readonly #parts: LineParts;
  readonly #step: (event: "run" | "busy" | "settle") => void;
  readonly #queue: InputQueue;
  #executor: RuntimeExecutor | undefined;
  #running: { readonly queued: QueuedInput; readonly controller: AbortController } | undefined;
  /** Resolves when no input runs or is about to; undefined: none is. */
  #work: Promise<void> | undefined;
  /** Of the input that is at the head now. */
  #present: Promise<void> | undefined;
  #isHalted = false;
  #isClosed = false;
  /** Ends an input's wait. */
  #wake: () => void = nothing;
  /** Of inputs that have settled, or were not accepted: their rows may be there yet. */
  readonly #leftRows = new Set<InputId>();
  /** While they are being removed for inputs that wait to be written. */
  #clearing: Promise<void> | undefined;
  #failedRemovals = 0;

  constructor(id: SessionId, parts: LineParts, step: (event: "run" | "busy" | "settle") => void) {
    this.#id = id;
    this.#parts = parts;
    this.#step = step;
    this.#queue = new InputQueue(id, parts.totals);
  }

  /** Inputs that wait or run. */
  get length(): number {
    return this.#queue.length;
  }

  get executor(): RuntimeExecutor | undefined {
    return this.#executor;
  }

  get isBusy(): boolean {
    return this.#work !== undefined;
  }

  /** An input that was accepted in another life of the process. */
  restore(input: AcceptedInput): void {
    this.#queue.add(input, false);
  }

  /** Queue an input in the instant of the call. @returns its ticket, when it is in the store. @throws SessionError HOST_OVERLOADED */
  async accept(input: AcceptedInput): Promise<InputTicket> {
    const known = this.#queue.find(input.inputId);
    const queued = known ?? this.#queue.add(input);
    const position = this.#queue.positionOf(queued);
    if (known === undefined) queued.accepted = this.#write(input)?.catch((error: unknown) => this.#refused(queued, error));
    this.#go();
    await queued.accepted;
    const { inputId, runId } = queued.input;
    return { inputId, runId, position, outcome: queued.outcome };
  }

  /** Behind the removal of what is left over, as all that come meanwhile: in the order of the calls. A row of the same id would be removed with it later. */
  #write(input: AcceptedInput): Promise<void> | undefined {
    const { rows } = this.#parts;
    if (rows === undefined) return undefined;
    if (this.#clearing === undefined && this.#leftRows.size === 0) return this.#add(rows, input);
    this.#clearing ??= this.#removeLeft().finally(() => (this.#clearing = undefined));
    return this.#clearing.then(() => this.#add(rows, input));
  }

  /** A store that did not answer may have written the row all the same. */
  #add(rows: RuntimeRows, input: AcceptedInput): Promise<void> {
    return rows.addInput(this.#id, input).catch((error: unknown) => {
      this.#leftRows.add(input.inputId);
      throw error;
    });
  }

  #refused(queued: QueuedInput, error: unknown): never {
    if (this.#queue.take(queued)) queued.reject(error);
    throw error;
  }

  /** Have inputs run. @param executor - undefined: those that have not begun wait */
  run(executor: RuntimeExecutor | undefined): void {
    this.#executor = executor;
    if (executor === undefined) this.#wake();
    else this.#go();
  }

  /** No further input begins, until `resume`. */
  halt(): void {
    this.#isHalted = true;
    this.#wake();
  }

  resume(): void {
    this.#isHalted = false;
    this.#go();
  }

  /** End what runs. */
  interrupt(reason: SessionError): void {
    this.#running?.controller.abort(reason);
  }

  /** Resolves when no input runs or is about to. */
  async quiet(): Promise<void> {
    await this.#work;
  }

  /** Resolves when the input that runs, or is about to, has settled or gone back to the queue. */
  async present(): Promise<void> {
    await this.#present;
  }

  /** Let what is queued run for `ms` milliseconds; then no further input begins, and the one that runs is interrupted. @returns how many have run */
  async drain(ms: number, reason: SessionError): Promise<number> {
    const before = this.length;
    if (this.#work !== undefined && !(await within(this.#work, ms))) {
      this.halt();
      this.interrupt(reason);
    }
    this.halt();
    await this.#work;
    return before - this.length;
  }

  /** Take out all inputs but the one that runs, and answer them. Their rows are removed when this resolves. @returns how many */
  async drop(error: SessionError): Promise<number> {
    const dropped = this.#queue.takeAll(this.#running?.queued);
    for (const queued of dropped) queued.reject(error);
    this.#wake();
    await this.#removeRows(dropped);
    return dropped.length;
  }

  /** The host closes: inputs that have not begun are answered and keep their rows (X2). Waits for the one that runs. */
  async close(error: SessionError): Promise<void> {
    this.#isClosed = true;
    this.halt();
    for (const queued of this.#queue.takeAll(this.#running?.queued)) queued.reject(error);
    await this.#work;
  }

  #go(): void {
    if (this.#work === undefined && this.#mayRun) this.#work = this.#runAll();
  }

  get #mayRun(): boolean {
    return this.#executor !== undefined && !this.#isHalted && this.#queue.length > 0;
  }

  async #runAll(): Promise<void> {
    while (this.#mayRun) {
      this.#present = this.#runHead(this.#queue.head as QueuedInput);
      await this.#present;
    }
    this.#present = undefined;
    this.#work = undefined;
  }

  async #runHead(queued: QueuedInput): Promise<void> {
    await queued.accepted?.catch(nothing); // its caller is told; it is out of the queue then
    if (!(await this.#rowsAreRemoved()))
      return this.#wait(later(Math.min(REMOVAL_RETRY_MS * 2 ** this.#failedRemovals++, REMOVAL_RETRY_MAX_MS)));
    if (!this.#mayRun || this.#queue.head !== queued) return;
    const running = { queued, controller: new AbortController() };
    this.#step("run");
    this.#running = running;
    let settle: () => void;
    let failure: unknown;
    try {
      const output = await (this.#executor as RuntimeExecutor)(this.#id, queued.input, running.controller.signal);
      settle = () => queued.resolve(output);
    } catch (error) {
      const wait = running.controller.signal.aborted ? undefined : this.#waitAfter(queued, error);
      if (wait !== undefined) return this.#putBack(wait);
      failure = error;
      settle = () => queued.reject(error);
    }
    if (failure === undefined || !this.#isClosed) await this.#removeRows([queued]); // X2
    this.#queue.take(queued);
    this.#running = undefined;
    this.#step("settle");
    settle();
    if (isNotFound(failure, this.#id)) this.#parts.onGone(this.#id, failure);
  }

  /** X3. @returns what an input waits for that did not run; undefined: it has run, or was tried often enough */
  #waitAfter(queued: QueuedInput, error: unknown): Wait | undefined {
    if (!hasErrorCode(error)) return undefined;
    if (error.code === "SESSION_BUSY") {
      return (over) => {
        void this.#parts.host.whenIdle(this.#id).then(over);
        return nothing;
      };
    }
    if (error.code !== "HOST_OVERLOADED" || ++queued.refusals >= TRIES_MAX) return undefined;
    const { retryAfterMs = RETRY_AFTER_MS } = (error.details ?? {}) as { retryAfterMs?: number };
    return later(retryAfterMs);
  }

  #putBack(wait: Wait): Promise<void> {
    this.#running = undefined;
    this.#step("busy");
    return this.#wait(wait);
  }

  async #wait(wait: Wait): Promise<void> {
    if (!this.#mayRun) return;
    let stop = nothing;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      stop = wait(resolve);
    });
    this.#wake = nothing;
    stop();
  }

  async #removeRows(inputs: readonly QueuedInput[]): Promise<void> {
    if (this.#parts.rows === undefined) return;
    for (const { input } of inputs) this.#leftRows.add(input.inputId);
    await this.#rowsAreRemoved();
  }

  /** X2. Tries to make it so. */
  async #rowsAreRemoved(): Promise<boolean> {
    try {
      await this.#removeLeft();
      return true;
    } catch {
      return false; // tried again before the next input
    }
  }

  async #removeLeft(): Promise<void> {
    const ids = [...this.#leftRows];
    if (ids.length === 0) return;
    await this.#parts.rows?.removeInputs(this.#id, ids);
    for (const id of ids) this.#leftRows.delete(id);
    this.#failedRemovals = 0;
  }
}

function isNotFound(error: unknown, id: SessionId): error is SessionError {
  return hasErrorCode(error) && error.code === "SESSION_NOT_FOUND" && "sessionId" in error && error.sessionId === id;
}
