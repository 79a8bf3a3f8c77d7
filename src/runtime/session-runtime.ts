/**
 * The runtime of one session: steps through RUNTIME_TRANSITIONS (R1–R4) and ends in the ways there are. Its inputs are in its line.
 *
 *   Z1. What the store refuses has changed nothing here.
 *   Z2. While it ends it takes no input, so that what ends it ends.
 *   Z3. From the instant in which it is to be gone for good nothing writes its row but what removes it.
 */
import type { RuntimeEvent, RuntimeState } from "../core/machines.ts";
import { RUNTIME_TRANSITIONS, advance, nextState } from "../core/machines.ts";
import { SessionError, agentFailure, notFound } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { AcceptedInput, RestingState } from "../protocol/stored-runtime.ts";
import type { LineParts } from "./input-line.ts";
import { InputLine } from "./input-line.ts";
import type { InputTicket, RuntimeExecutor } from "./runtime-adapter.ts";

interface Retirement {
  readonly drained: number;
  /** Brings the runtime back to where it was. */
  readonly rollBack: () => Promise<void>;
}
/** Of a runtime that was retired before. */
const NOTHING_RETIRED: Retirement = { drained: 0, rollBack: () => Promise.resolve() };

export class SessionRuntime {
  readonly id: SessionId;
  readonly #parts: LineParts;
  readonly #line: InputLine;
  #state: RuntimeState = "initializing";
  /** Ends under way. */
  #endings = 0;
  /** Z3 */
  #isGoing = false;
  #reviving: Promise<number> | undefined;
  /** While it is being stopped or destroyed: resolves when it is. */
  leaving: Promise<void> | undefined;

  constructor(id: SessionId, parts: LineParts) {
    this.id = id;
    this.#parts = parts;
    this.#line = new InputLine(id, parts, (event) => this.#step(event));
  }

  get state(): RuntimeState {
    return this.#state;
  }

  /** Inputs that wait or run. */
  get inputs(): number {
    return this.#line.length;
  }

  /** Bring it to where it may be used. @throws SessionError; it is destroyed then */
  async register(): Promise<void> {
    try {
      await this.#parts.host.assertExists(this.id);
      this.#assertStays();
      await this.#parts.rows?.put(this.id, "idle");
      this.#assertStays();
      this.#step("register");
    } catch (error) {
      if (this.#canTake("destroy")) this.#step("destroy");
      throw error;
    }
  }

  /** As it was in another life of the process. */
  restore(state: RestingState, inputs: readonly AcceptedInput[]): void {
    for (const input of inputs) this.#line.restore(input);
    this.#step("register");
    if (state === "idle") return;
    this.#line.halt();
    this.#step(state === "retired" ? "retire" : "stop");
  }

  /** @throws SessionError SESSION_NOT_RUNNING (R2), HOST_OVERLOADED */
  async accept(input: AcceptedInput): Promise<InputTicket> {
    this.#assertTakes();
    return this.#line.accept(input);
  }

  /** @throws SessionError SESSION_NOT_RUNNING */
  attach(executor: RuntimeExecutor): void {
    this.#assertTakes();
    if (this.#state === "idle") this.#step("attach");
    this.#line.run(executor);
  }

  async detach(): Promise<void> {
    this.#line.run(undefined);
    await this.#line.present();
    if (this.#line.executor === undefined && this.#state === "attached") this.#step("detach");
  }

  /** Z3. @throws SessionError SESSION_NOT_FOUND: its session has ended meanwhile */
  #assertStays(): void {
    if (this.#isGoing) throw notFound(this.id);
  }

  #assertTakes(): void {
    const isTaking = this.#state === "idle" || this.#state === "attached" || this.#state === "running";
    if (isTaking && this.#endings === 0) return;
    const state = isTaking ? "ending" : this.#state;
    throw new SessionError("SESSION_NOT_RUNNING", `the runtime of session ${this.id} is ${state}`, {
      sessionId: this.id,
      details: { state },
    });
  }

  // ── ends ──

  /** Let what is queued run, and step to `retired`. What has not run in time stays queued. @param drainMs - milliseconds it has */
  retire(drainMs: number): Promise<Retirement> {
    return this.#ending(async () => {
      if (!this.#canTake("retire")) return NOTHING_RETIRED;
      const drained = await this.#line.drain(drainMs, this.#abandoned("retired"));
      if (!this.#canTake("retire")) return NOTHING_RETIRED; // it has ended in another way meanwhile
      await this.#write(() => this.#parts.rows?.put(this.id, "retired"));
      this.#line.halt(); // another end that failed may have let it go on
      await this.#line.quiet();
      if (!this.#canTake("retire")) return NOTHING_RETIRED;
      const { executor } = this.#line;
      const before = this.#state === "stopped" ? "stopped" : "idle";
      this.#step("retire");
      return { drained, rollBack: () => this.#rollBack(before, executor) };
    });
  }

  async #rollBack(state: "idle" | "stopped", executor: RuntimeExecutor | undefined): Promise<void> {
    if (this.#state !== "retired" || this.#isGoing) return; // it has ended, or was revived, meanwhile
    this.#step("revive");
    if (state === "stopped") this.#step("stop");
    else {
      if (executor !== undefined) this.#step("attach");
      this.#line.resume();
    }
    await this.#parts.rows?.put(this.id, state);
  }

  /** Abandon what is queued, end what runs, and step to the end. @returns how many were abandoned. @param interrupts - what runs, or waits for it */
  async end(event: "stop" | "destroy", reason: string, interrupts = true): Promise<number> {
    const ended = this.#ending(() => this.#end(event, reason, interrupts));
    const leaving = ended.then(nothing, nothing);
    this.leaving = leaving;
    try {
      return await ended;
    } finally {
      if (this.leaving === leaving) this.leaving = undefined;
    }
  }

  async #end(event: "stop" | "destroy", reason: string, interrupts: boolean): Promise<number> {
    if (!this.#canTake(event)) return 0;
    this.#line.halt();
    await (event === "stop" ? this.#write(() => this.#parts.rows?.put(this.id, "stopped")) : this.#removeRow());
    const abandoned = await this.abandon(reason);
    if (interrupts) this.#line.interrupt(this.#abandoned(reason));
    await this.#line.quiet();
    this.#finish(event);
    return abandoned;
  }

  /** Its session has ended: what is queued fails with that. Does not wait for what runs, and never rejects. */
  async sessionEnded(event: "retire" | "stop" | "destroy", error: SessionError): Promise<void> {
    this.#endings++;
    this.#line.halt();
    const { rows } = this.#parts;
    const written = event !== "stop" ? rows?.remove(this.id) : this.#canTake(event) ? rows?.put(this.id, "stopped") : undefined;
    if (event !== "stop") this.#isGoing = true;
    const dropped = this.#line.drop(error);
    const finish = (): void => {
      this.#finish(event);
      this.#endings--;
    };
    if (this.#line.isBusy) void this.#line.quiet().then(finish);
    else finish();
    await written?.catch(nothing); // what is left of a session that has ended is found to be so when it is used
    await dropped;
  }

  /** Abandon what is queued and take inputs again. What runs goes on. @returns how many were abandoned */
  async reset(): Promise<number> {
    if (!this.#canTake("revive")) {
      this.#assertTakes();
      return this.abandon("reset");
    }
    this.#reviving ??= this.#revive().finally(() => (this.#reviving = undefined));
    return this.#reviving;
  }

  /** Once for all who ask for it meanwhile: what comes behind it may have inputs already. */
  async #revive(): Promise<number> {
    await this.#parts.rows?.put(this.id, "idle");
    const abandoned = await this.abandon("reset");
    if (!this.#canTake("revive")) return abandoned;
    this.#step("revive");
    this.#line.run(undefined);
    this.#line.resume();
    return abandoned;
  }

  /** Take out all inputs but the one that runs. @param reason - in their error. @returns how many */
  abandon(reason: string): Promise<number> {
    return this.#line.drop(this.#abandoned(reason));
  }

  /** The host closes. Waits for what runs. */
  async close(error: SessionError): Promise<void> {
    this.#endings++;
    await this.#line.close(error);
  }

  /** Z2 */
  async #ending<T>(end: () => Promise<T>): Promise<T> {
    this.#endings++;
    try {
      return await end();
    } finally {
      this.#endings--;
    }
  }

  /** Z1 */
  async #write(write: () => Promise<void> | undefined): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#line.resume();
      throw error;
    }
  }

  /** Z3 */
  async #removeRow(): Promise<void> {
    const wasGoing = this.#isGoing;
    this.#isGoing = true;
    try {
      await this.#write(() => this.#parts.rows?.remove(this.id));
    } catch (error) {
      this.#isGoing = wasGoing;
      throw error;
    }
  }

  /** When nothing runs. */
  #finish(event: RuntimeEvent): void {
    this.#line.run(undefined);
    if (this.#mayStep(event)) this.#step(event);
  }

  /** Whether that may be the next step, when nothing runs (Z3). */
  #canTake(event: RuntimeEvent): boolean {
    return (!this.#isGoing || event === "destroy") && this.#mayStep(event);
  }

  #mayStep(event: RuntimeEvent): boolean {
    return nextState(RUNTIME_TRANSITIONS, this.#state === "running" ? "attached" : this.#state, event) !== undefined;
  }

  #abandoned(reason: string): SessionError {
    return agentFailure("cancelled", `the input was abandoned: its runtime was ${reason}`, { sessionId: this.id, details: { reason } });
  }

  #step(event: RuntimeEvent): void {
    this.#state = advance(RUNTIME_TRANSITIONS, this.#state, event);
  }
}

const nothing = (): void => {};
