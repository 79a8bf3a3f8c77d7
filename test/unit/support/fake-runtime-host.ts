/** A service as the runtime sees it: turns run until the test ends them. */
import { SessionError, busy, notFound } from "../../../src/protocol/errors.ts";
import type { CoreApplyOutput } from "../../../src/protocol/runtime.ts";
import type { AcceptedInput, RestingState } from "../../../src/protocol/stored-runtime.ts";
import type { RuntimeHost, RuntimeRows } from "../../../src/runtime/runtime-host.ts";

export const outputOf = ({ inputId, runId, boundary }: Pick<AcceptedInput, "inputId" | "runId" | "boundary">): CoreApplyOutput => ({
  receipt: { runId, boundary, contributingInputIds: [inputId], messageCount: 2, sequence: 0 },
});

export interface Run {
  readonly id: string;
  readonly input: AcceptedInput;
  readonly signal: AbortSignal;
  end(error?: unknown): void;
}

export class FakeRuntimeHost implements RuntimeHost {
  readonly sessions = new Set(["a", "b"]);
  /** Runs that were begun, in that order, and those that go on. */
  readonly begun: string[] = [];
  readonly running: Run[] = [];
  /** Sessions in which somebody else's turn runs. */
  readonly busy = new Map<string, (() => void)[]>();
  idleAsked = 0;
  refuse: ((input: AcceptedInput) => unknown) | undefined;

  async assertExists(id: string): Promise<void> {
    if (!this.sessions.has(id)) throw notFound(id);
  }

  check({ prompt }: { prompt: string }): void {
    if (prompt === "bad") throw new SessionError("INVALID_PARAMS", "bad");
  }

  readonly apply = (id: string, input: AcceptedInput, signal: AbortSignal): Promise<CoreApplyOutput> => {
    if (this.busy.has(id)) return Promise.reject(busy(id));
    const refusal = this.refuse?.(input);
    if (refusal !== undefined) return Promise.reject(refusal as Error);
    if (this.running.some((run) => run.id === id)) throw new Error(`two inputs of ${id} run`);
    this.begun.push(input.request.prompt);
    return new Promise((resolve, reject) => {
      const end = (error?: unknown): void => {
        this.running.splice(this.running.indexOf(run), 1);
        if (error === undefined) resolve(outputOf(input));
        else reject(error as Error);
      };
      const run: Run = { id, input, signal, end };
      signal.addEventListener("abort", () => this.running.includes(run) && end(new SessionError("AGENT_ERROR", "cancelled")));
      this.running.push(run);
    });
  };

  whenIdle(id: string): Promise<void> {
    this.idleAsked++;
    const waiting = this.busy.get(id);
    return waiting === undefined ? new Promise((resolve) => setImmediate(resolve)) : new Promise((resolve) => waiting.push(resolve));
  }

  /** Somebody else's turn ends. */
  free(id: string): void {
    const waiting = this.busy.get(id) ?? [];
    this.busy.delete(id);
    for (const resolve of waiting) resolve();
  }
}

/** Rows in memory, with a journal. */
export class FakeRows implements RuntimeRows {
  readonly rows = new Map<string, { state: RestingState; inputs: AcceptedInput[] }>();
  readonly journal: string[] = [];
  /** Calls that fail. */
  readonly failing = new Set<string>();
  /** Calls that are done, and fail all the same. */
  readonly unanswered = new Set<string>();

  async put(id: string, state: RestingState): Promise<void> {
    this.#begin("put", `${id} ${state}`);
    this.rows.set(id, { state, inputs: this.rows.get(id)?.inputs ?? [] });
  }

  async addInput(id: string, input: AcceptedInput): Promise<void> {
    this.#begin("addInput", input.inputId);
    this.rows.get(id)?.inputs.push(input);
    if (this.unanswered.has("addInput")) throw new SessionError("SESSION_STORE_ERROR", "addInput was not answered");
  }

  async removeInputs(id: string, inputIds: readonly string[]): Promise<void> {
    this.#begin("removeInputs", inputIds.join(","));
    const row = this.rows.get(id);
    if (row !== undefined) row.inputs = row.inputs.filter(({ inputId }) => !inputIds.includes(inputId));
  }

  async remove(id: string): Promise<void> {
    this.#begin("remove", id);
    this.rows.delete(id);
  }

  #begin(call: string, what: string): void {
    if (this.failing.has(call)) throw new SessionError("SESSION_STORE_ERROR", `${call} fails`);
    this.journal.push(`${call} ${what}`);
  }
}
