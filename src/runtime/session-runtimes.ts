/** The runtimes of one service's sessions: what callers of its adapter ask, and what the service tells of sessions that end. */
import type { RuntimeState } from "../core/machines.ts";
import { SessionError, agentFailure, hostClosed, notFound } from "../protocol/errors.ts";
import { isInstance, textOf } from "../protocol/foreign.ts";
import type { SessionId } from "../protocol/ids.ts";
import { IdSource } from "../protocol/ids.ts";
import { parseInput, refuse } from "../protocol/parse.ts";
import type { RuntimeInput } from "../protocol/runtime-input.ts";
import { RetireOptionsSchema, RuntimeInputSchema } from "../protocol/runtime-input.ts";
import type { AcceptedInput, StoredRuntime } from "../protocol/stored-runtime.ts";
import type { LineParts } from "./input-line.ts";
import { InputTotals } from "./input-queue.ts";
import type { MachineSessionControlAuthority } from "./machine-authority.ts";
import { AuthorityMint } from "./machine-authority.ts";
import type { InputTicket, RuntimeAdapter, RuntimeExecutor, RuntimeSummary } from "./runtime-adapter.ts";
import type { RuntimeHost, RuntimeRows } from "./runtime-host.ts";
import { SessionRuntime } from "./session-runtime.ts";

/** Milliseconds that queued inputs have to run when their runtime is retired. */
const DRAIN_MS = 30_000;
/** Runtimes of ended sessions that are remembered, oldest out. */
const ENDED_MAX = 10_000;

export class SessionRuntimes implements RuntimeAdapter {
  readonly #host: RuntimeHost;
  readonly #parts: LineParts;
  readonly #byId = new Map<SessionId, SessionRuntime>();
  /** Settles when the runtime is registered, or cannot be. */
  readonly #registering = new Map<SessionId, Promise<void>>();
  /** Those of sessions that have ended, in that order. */
  readonly #ended = new Set<SessionId>();
  readonly #mint = new AuthorityMint();
  readonly #ids = new IdSource();
  #closed: Promise<void> | undefined;

  /** @param rows - undefined: runtimes are in memory only */
  constructor(host: RuntimeHost, rows?: RuntimeRows) {
    this.#host = host;
    this.#parts = { host, rows, totals: new InputTotals(), onGone: (id, error) => void this.sessionEnded(id, "destroy", error) };
  }

  /** Take in what another life of the process has left. Attached runtimes are idle. */
  restore({ id, state, inputs }: StoredRuntime): void {
    const runtime = new SessionRuntime(id, this.#parts);
    runtime.restore(state, inputs);
    this.#byId.set(id, runtime);
  }

  // ── what callers ask ──

  async register(id: SessionId): Promise<void> {
    for (let waiting; (waiting = this.#onItsWay(id)) !== undefined;) await waiting;
    this.#assertOpen();
    const known = this.#byId.get(id);
    if (known === undefined || known.state === "destroyed" || this.#ended.has(id)) await this.#register(id, known);
    else if (known.state === "stopped") await known.reset();
  }

  /** @param ended - the one of that id whose session has ended, or which is destroyed */
  async #register(id: SessionId, ended: SessionRuntime | undefined): Promise<void> {
    const runtime = new SessionRuntime(id, this.#parts);
    this.#byId.set(id, runtime);
    const registered = runtime.register();
    this.#registering.set(id, registered);
    try {
      await registered;
      this.#ended.delete(id);
    } catch (error) {
      if (ended === undefined) this.#byId.delete(id);
      else this.#byId.set(id, ended);
      throw error;
    } finally {
      this.#registering.delete(id);
    }
  }

  async unregister(id: SessionId): Promise<{ abandoned: number }> {
    for (let waiting; (waiting = this.#onItsWay(id)) !== undefined;) await waiting;
    this.#assertOpen();
    const runtime = this.#byId.get(id);
    if (runtime === undefined) return { abandoned: 0 };
    const abandoned = await runtime.end("destroy", "unregistered", false);
    if (this.#byId.get(id) === runtime) this.#byId.delete(id);
    this.#ended.delete(id);
    return { abandoned };
  }

  attach(id: SessionId, executor: RuntimeExecutor = this.#host.apply): Promise<void> {
    return this.#use(id, async (runtime) => {
      if (typeof executor !== "function") refuse("executor", "must be a function");
      runtime.attach(executor);
    });
  }

  detach(id: SessionId): Promise<void> {
    return this.#use(id, (runtime) => runtime.detach());
  }

  async acceptInput(id: SessionId, input: RuntimeInput): Promise<InputTicket> {
    const accepted = this.#accepted(input);
    return this.#use(id, (runtime) => runtime.accept(accepted));
  }

  /** The input with its defaults, as a store would give it again. */
  #accepted(input: RuntimeInput): AcceptedInput {
    const now = Date.now();
    const checked = parseInput(RuntimeInputSchema, input, "input");
    const { inputId = this.#ids.next(now), runId = this.#ids.next(now), boundary = "run_start", prompt, ...rest } = checked;
    const others = JSON.parse(JSON.stringify({ executionKind: "content_turn", ...rest })) as Partial<AcceptedInput["request"]>;
    const request = { ...others, prompt, idempotencyKey: inputId };
    this.#host.check(request);
    return { inputId, runId, boundary, request };
  }

  state(id: SessionId): RuntimeState | undefined {
    return this.#byId.get(id)?.state;
  }

  async retire(id: SessionId, options: { deadlineMs?: number | undefined } = {}): Promise<{ abandoned: number; drained: number }> {
    const { deadlineMs = DRAIN_MS } = parseInput(RetireOptionsSchema, options, "options");
    return this.#use(id, async (runtime) => {
      const { drained } = await runtime.retire(deadlineMs);
      return { drained, abandoned: await runtime.abandon("retired") };
    });
  }

  reset(id: SessionId): Promise<{ abandoned: number }> {
    return this.#use(id, async (runtime) => ({ abandoned: await runtime.reset() }));
  }

  stop(id: SessionId): Promise<{ abandoned: number }> {
    return this.#use(id, async (runtime) => ({ abandoned: await runtime.end("stop", "stopped") }));
  }

  destroy(id: SessionId): Promise<{ abandoned: number }> {
    return this.#use(id, async (runtime) => ({ abandoned: await runtime.end("destroy", "destroyed") }));
  }

  list(): RuntimeSummary[] {
    return [...this.#byId.values()].map(({ id, state, inputs }) => ({ id, state, inputs }));
  }

  controlAuthority(): MachineSessionControlAuthority {
    return this.#mint.mint();
  }

  // ── what the service asks and tells ──

  /** @returns whether it is an authority that this adapter gave out */
  hasMinted(value: unknown): boolean {
    return this.#mint.isOwn(value);
  }

  /**
   * Retire the runtime of a session that is about to be archived: one that has none is given one first. The session is known to exist.
   *
   * @returns what brings it back to where it was. @throws SessionError AGENT_ERROR internal_error; then it is where it was
   */
  async retireForArchive(id: SessionId): Promise<() => Promise<void>> {
    if (this.#closed !== undefined) return async () => {};
    for (let waiting; (waiting = this.#onItsWay(id)) !== undefined;) await waiting;
    const known = this.#byId.get(id);
    if (known?.state === "destroyed" || this.#ended.has(id)) return async () => {};
    if (known === undefined) this.restore({ id, state: "idle", inputs: [] });
    try {
      const { rollBack } = await this.#registered(id).retire(DRAIN_MS);
      return known === undefined ? () => this.#forget(id) : rollBack;
    } catch (error) {
      if (known === undefined) this.#byId.delete(id);
      const when = known === undefined ? " after registration" : "";
      throw agentFailure(
        "internal_error",
        `machine archive retire failed${when}: ${isInstance(error, Error) ? error.message : textOf(error)}`,
        { sessionId: id },
      );
    }
  }

  async #forget(id: SessionId): Promise<void> {
    this.#byId.delete(id);
    await this.#parts.rows?.remove(id);
  }

  /**
   * The session was archived ("retire"), dropped for now ("stop"), or is gone ("destroy"): its inputs are abandoned. Never rejects.
   *
   * @param error - what they fail with
   */
  async sessionEnded(id: SessionId, event: "retire" | "stop" | "destroy", error: SessionError = notFound(id)): Promise<void> {
    const runtime = this.#byId.get(id);
    if (runtime === undefined) return;
    if (event !== "stop") this.#remember(id);
    await runtime.sessionEnded(event, error);
  }

  #remember(id: SessionId): void {
    this.#ended.delete(id);
    this.#ended.add(id);
    const [oldest] = this.#ended;
    if (this.#ended.size <= ENDED_MAX || oldest === undefined) return;
    this.#ended.delete(oldest);
    this.#byId.delete(oldest);
  }

  /** Settle everything: what is queued at once, what runs when it has run. Nothing is accepted any more. */
  close(): Promise<void> {
    return (this.#closed ??= Promise.all([...this.#byId.values()].map((runtime) => runtime.close(hostClosed()))).then(() => {}));
  }

  // ── finding ──

  #assertOpen(): void {
    if (this.#closed !== undefined) throw hostClosed();
  }

  /** What to wait for before a runtime of that id can come or go. Never rejects. */
  #onItsWay(id: SessionId): Promise<unknown> | undefined {
    return this.#registering.get(id)?.catch(() => {}) ?? this.#byId.get(id)?.leaving; // what becomes of it is looked at
  }

  /** Use a runtime in the instant of the call: inputs stand in the order of the calls. One that is being registered is waited for. */
  async #use<T>(id: SessionId, how: (runtime: SessionRuntime) => Promise<T>): Promise<T> {
    for (let registering; (registering = this.#registering.get(id)) !== undefined;) await registering.catch(() => {});
    this.#assertOpen();
    return how(this.#registered(id));
  }

  /** @throws SessionError SESSION_NOT_FOUND */
  #registered(id: SessionId): SessionRuntime {
    const runtime = this.#byId.get(id);
    if (runtime !== undefined) return runtime;
    throw new SessionError("SESSION_NOT_FOUND", `no runtime is registered for session ${id}`, {
      sessionId: id,
      details: { reason: "not_registered" },
    });
  }
}
