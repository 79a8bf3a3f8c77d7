/**
 * A stateful JavaScript sandbox: programs run one after another in one realm, and what they declare lives on.
 *
 * Owns one interpreter (see `sandbox-module.ts`) with one realm. It knows nothing of sessions or threads: a program goes
 * in, text comes out.
 *
 * Invariants
 *   S1. A program reaches nothing of the host: the realm holds the language, `console`, and no module loader.
 *   S2. A program cannot go on after an interrupt or after too much output: no `catch`, `finally` or promise job of it
 *       runs further than to the next poll, and the jobs it left behind are dropped before `run` returns.
 *   S3. After an error the globals live on, unless the message says that they are lost: then `isLost` is true and
 *       the owner makes a new sandbox. That is so when the memory stays full, and when the interpreter itself fails.
 *   S4. Runaway recursion is an error of the program: the guest's stack is small enough for the thread's own to last longer.
 *
 * Known limit: built-ins that run long without calling back (a search through a sparse array of 2^32 entries, the product of
 * huge BigInts) are not polled; whoever owns the thread must guard against those.
 */
import type { QuickJSContext, QuickJSHandle, QuickJSRuntime } from "quickjs-emscripten";
import { guestStackBytes } from "./sandbox-module.ts";
import type { SandboxInstance, SandboxModule } from "./sandbox-module.ts";
import { CHANNELS, SANDBOX_PRELUDE } from "./sandbox-prelude.ts";
import type { PreludeFunction } from "./sandbox-prelude.ts";

export { loadSandboxModule } from "./sandbox-module.ts";
export type { SandboxModule } from "./sandbox-module.ts";

/** Heap bytes of one sandbox. */
export const MEMORY_LIMIT_BYTES = 32 * 1024 * 1024;
/** UTF-8 bytes that one run may hand out, console and result together. */
export const OUTPUT_LIMIT_BYTES = 1024 * 1024;
/** UTF-16 units of a program. The text is copied into the sandbox's memory, which has room for it (`KEEP_FREE_BYTES`). */
export const PROGRAM_LIMIT_CHARS = 1024 * 1024;

/** Beside the heap: the engine's own data and stack, and what must stay free. */
const ENGINE_BYTES = 10 * 1024 * 1024;
/** What must be free after a run for the next one to start safely. */
const KEEP_FREE_BYTES = 4 * 1024 * 1024;
const MESSAGE_CHARS = 10_000;

/** Where a run's output goes and what stops it. Both are called synchronously, from deep inside the program. */
export interface SandboxIo {
  /** Console text as it is made; never empty. If it throws, the program is stopped and `run` throws that. */
  write(text: string): void;
  /** Polled about every 10,000 steps. Once it was true, the run ends. */
  isInterrupted(): boolean;
}

export type SandboxErrorKind = "program" | "interrupted" | "output-limit" | "memory-limit" | "lost";

/** A run that failed. The message reads `TypeError: x is not a function (line 3)`. */
export class SandboxError extends Error {
  override readonly name = "SandboxError";
  readonly kind: SandboxErrorKind;
  /** Line of the program, from 1; undefined when no line of it took part. */
  readonly line: number | undefined;

  constructor(kind: SandboxErrorKind, message: string, line?: number) {
    super(message);
    this.kind = kind;
    this.line = line;
  }
}

interface Realm {
  readonly runtime: QuickJSRuntime;
  readonly context: QuickJSContext;
  readonly functions: Readonly<Record<PreludeFunction, QuickJSHandle>>;
}

/** What one run has gathered. */
interface Run {
  readonly io: SandboxIo;
  readonly file: string;
  readonly texts: Record<Exclude<keyof typeof CHANNELS, "output">, string>;
  outputBytes: number;
  /** Why the program may not go on. */
  stopped: "interrupted" | "output-limit" | "memory-limit" | "host-failure" | undefined;
  hostFailure: unknown;
}

const CHANNEL_NAMES = Object.keys(CHANNELS) as (keyof typeof CHANNELS)[];

export class Sandbox {
  readonly #module: SandboxModule;
  readonly #instance: SandboxInstance;
  readonly #stackBytes: number;
  readonly #realm: Realm;
  #run: Run | undefined;
  #runs = 0;
  #isLost = false;
  #isDisposed = false;

  private constructor(module: SandboxModule, instance: SandboxInstance, stackBytes: number) {
    this.#module = module;
    this.#instance = instance;
    this.#stackBytes = stackBytes;
    this.#realm = this.#open();
  }

  /** @param options.stackBytes - guest stack, when it shall not be the thread's share (S4) */
  static async create(module: SandboxModule, options: { stackBytes?: number } = {}): Promise<Sandbox> {
    const instance = await module.takeInstance(MEMORY_LIMIT_BYTES + ENGINE_BYTES);
    return new Sandbox(module, instance, options.stackBytes ?? guestStackBytes());
  }

  /** True when this sandbox can run no more (S3). */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Bytes of the WebAssembly memory now; it never shrinks. */
  get memoryBytes(): number {
    return this.#instance.memory.buffer.byteLength;
  }

  /**
   * Evaluate a program as a global script, run its promise jobs, and format its completion value. Blocks.
   *
   * @returns the completion value as text (see `sandbox-prelude.ts`); a promise counts as what it settled to
   * @throws SandboxError when the program fails, is interrupted or exceeds a limit
   */
  run(program: string, io: SandboxIo): string {
    if (this.#isDisposed || this.#isLost || this.#run !== undefined) throw new Error("the sandbox is disposed of, lost, or runs already");
    if (program.length > PROGRAM_LIMIT_CHARS) throw new SandboxError("program", `a program has at most ${PROGRAM_LIMIT_CHARS} characters`);
    const run: Run = {
      io,
      file: `program-${(this.#runs += 1)}`,
      texts: { result: "", errorName: "", errorMessage: "", errorStack: "" },
      outputBytes: 0,
      stopped: undefined,
      hostFailure: undefined,
    };
    this.#run = run;
    try {
      this.#evaluate(run, program);
      if (run.stopped !== undefined) this.#fail(run, undefined);
      if (!this.#hasRoom()) this.#failFull();
      return run.texts.result;
    } catch (error) {
      if (error instanceof SandboxError || (run.stopped === "host-failure" && error === run.hostFailure)) throw error;
      // A trap or a failed assertion: nothing in the memory can be trusted, nor freed.
      this.#isLost = true;
      throw new SandboxError("lost", `the interpreter failed, the sandbox's globals are lost: ${String(error)}`);
    } finally {
      this.#run = undefined;
    }
  }

  /** Give everything back. Idempotent. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    // A lost one is left to the garbage collector as it is: the engine asserts that nothing leaked when it is freed.
    if (this.#isLost) return;
    const { functions, context, runtime } = this.#realm;
    try {
      for (const handle of Object.values(functions)) handle.dispose();
      context.dispose();
      runtime.dispose();
    } catch {
      // That assertion failed after all. The instance is not handed on (M1), so nobody is harmed.
      return;
    }
    this.#module.returnInstance(this.#instance);
  }

  #open(): Realm {
    const runtime = this.#instance.wasm.newRuntime({ memoryLimitBytes: MEMORY_LIMIT_BYTES, maxStackSizeBytes: this.#stackBytes });
    runtime.setInterruptHandler(() => this.#poll());
    const context = runtime.newContext();
    const send = context.newFunction("send", (chunk) => this.#receive(context.getString(chunk)));
    const install = context.evalCode(SANDBOX_PRELUDE, "prelude", { type: "global" }).unwrap();
    const functions = context.callFunction(install, context.undefined, send).unwrap();
    const named = (name: PreludeFunction) => context.getProp(functions, name);
    const realm = { runtime, context, functions: { report: named("report"), describe: named("describe"), probe: named("probe") } };
    for (const handle of [send, install, functions]) handle.dispose();
    return realm;
  }

  #poll(): boolean {
    const run = this.#run;
    if (run === undefined) return false;
    if (run.stopped === undefined) this.#guard(run, () => void (run.io.isInterrupted() && (run.stopped = "interrupted")));
    return run.stopped !== undefined;
  }

  #receive(chunk: string): void {
    const run = this.#run;
    if (run === undefined) return;
    const channel = CHANNEL_NAMES[Number(chunk.charAt(0))];
    // P2 says that chunks are never empty: there was no memory to copy it out.
    if (chunk === "" || channel === undefined) return void (run.stopped ??= "memory-limit");
    const text = chunk.length === 1 ? "\0" : chunk.slice(1);
    if (channel === "output" || channel === "result") {
      run.outputBytes += Buffer.byteLength(text);
      if (run.outputBytes > OUTPUT_LIMIT_BYTES) run.stopped ??= "output-limit";
      if (run.stopped !== undefined) return;
    }
    if (channel === "output") this.#guard(run, () => run.io.write(text));
    else if (channel === "result" || run.texts[channel].length < MESSAGE_CHARS) run.texts[channel] += text;
  }

  /** Host code must not throw through the engine's frames: it would become an exception the program can catch. */
  #guard(run: Run, call: () => void): void {
    try {
      call();
    } catch (error) {
      run.stopped = "host-failure";
      run.hostFailure = error;
    }
  }

  #evaluate(run: Run, program: string): void {
    const { context, functions } = this.#realm;
    const evaluated = context.evalCode(program, run.file, { type: "global" });
    this.#runJobs(run);
    if (evaluated.error !== undefined) return this.#fail(run, evaluated.error);
    using value = evaluated.value;
    if (run.stopped !== undefined) return;
    const state = context.getPromiseState(value);
    if (state.type === "rejected") return this.#fail(run, state.error);
    if (state.type === "pending") throw new SandboxError("program", "the program's promise can never settle: nothing is left to run");
    const reported = context.callFunction(functions.report, context.undefined, state.value);
    if (state.notAPromise !== true) state.value.dispose();
    if (reported.error !== undefined) return this.#fail(run, reported.error);
    reported.value.dispose();
  }

  #runJobs(run: Run): void {
    const { runtime } = this.#realm;
    while (run.stopped === undefined && runtime.hasPendingJob()) {
      // One at a time: an interrupt may reach a job as a rejection of its promise, whose handlers must not run (S2).
      // A job's own failure belongs to its promise; what comes back here is an interrupt or a full memory.
      runtime.executePendingJobs(1).dispose();
      this.#poll();
    }
  }

  /** Turn what was thrown, or why the run was stopped, into an error, and clear up behind the program (S2). */
  #fail(run: Run, thrown: QuickJSHandle | undefined): never {
    const { context, functions } = this.#realm;
    if (run.stopped === undefined && thrown !== undefined) {
      const described = context.callFunction(functions.describe, context.undefined, thrown);
      if (described.error !== undefined && run.texts.errorMessage === "") run.texts.errorMessage = "an error that cannot be described";
      described.dispose();
    }
    thrown?.dispose();
    this.#clearJobs();
    const { errorName, errorMessage, errorStack } = run.texts;
    if (run.stopped === "host-failure") throw run.hostFailure;
    if (run.stopped === "interrupted") throw new SandboxError("interrupted", "interrupted");
    if (run.stopped === "output-limit") throw new SandboxError("output-limit", OUTPUT_LIMIT_MESSAGE);
    if (run.stopped === "memory-limit" || errorMessage.startsWith("out of memory") || !this.#hasRoom()) this.#failFull();
    const { place, line } = locate(errorStack, run.file);
    const text = errorName === "" ? errorMessage : errorMessage === "" ? errorName : `${errorName}: ${errorMessage}`;
    throw new SandboxError("program", `${text.slice(0, MESSAGE_CHARS)}${place}`, line);
  }

  #failFull(): never {
    this.#isLost = !this.#hasRoom();
    const rest = this.#isLost ? "; it stayed full and its globals are lost" : "";
    throw new SandboxError("memory-limit", `out of memory: a sandbox has ${MEMORY_LIMIT_BYTES / 1024 / 1024} MiB${rest}`);
  }

  #hasRoom(): boolean {
    if (this.memoryBytes + KEEP_FREE_BYTES <= MEMORY_LIMIT_BYTES + ENGINE_BYTES) return true;
    const { context, functions } = this.#realm;
    using bytes = context.newNumber(KEEP_FREE_BYTES);
    const probed = context.callFunction(functions.probe, context.undefined, bytes);
    const hasRoom = probed.error === undefined;
    probed.dispose();
    return hasRoom;
  }

  /** Without stack no handler can begin, and without memory no job can queue another: even a chain without end runs dry. */
  #clearJobs(): void {
    const { runtime } = this.#realm;
    if (!runtime.hasPendingJob()) return;
    runtime.setMemoryLimit(1);
    runtime.setMaxStackSize(1);
    while (runtime.hasPendingJob()) runtime.executePendingJobs(1).dispose();
    runtime.setMaxStackSize(this.#stackBytes);
    runtime.setMemoryLimit(MEMORY_LIMIT_BYTES);
  }
}

const OUTPUT_LIMIT_MESSAGE = `output limit exceeded: a program may print and return ${OUTPUT_LIMIT_BYTES} bytes`;

/** Where a stack trace points: its first frame, and the first frame of the program that runs now. */
function locate(stack: string, file: string): { place: string; line: number | undefined } {
  const frames = [...stack.matchAll(/\b(program-\d+):(\d+)/g)].map((match) => ({ file: match[1], line: Number(match[2]) }));
  const top = frames[0];
  const own = frames.find((frame) => frame.file === file);
  if (top === undefined) return { place: "", line: undefined };
  if (top === own) return { place: ` (line ${own.line})`, line: own.line };
  const caller = own === undefined ? "" : `, called from line ${own.line}`;
  return { place: ` (line ${top.line} of an earlier program${caller})`, line: own?.line };
}
