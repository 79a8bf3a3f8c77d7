/**
 * A stateful JavaScript sandbox: programs run one after another in one realm, and what they declare lives on.
 *
 * Owns one QuickJS runtime and context, made at the first run; the WebAssembly module under it is loaded once a thread
 * and shared. It knows nothing of sessions or threads: a program goes in, text comes out.
 *
 * Invariants
 *   S1. A program reaches nothing of the host: the realm holds the language, `console`, and no module loader.
 *   S2. A program cannot go on after an interrupt or after too much output: no `catch`, `finally` or promise job of it
 *       runs further than to the next poll, and jobs it left behind are cleared before `run` returns.
 *   S3. After an error the globals live on, with two exceptions that the message names: a full heap, and a failed module.
 *   S4. Stack overflow is an error of the program. A guest frame costs up to 27 times its bytes on the thread's own stack
 *       (measured over calls, callbacks, parser and JSON nesting, unoptimised code), so the guest gets 1/32 of it.
 *   S5. Only built-ins that run long without calling back (a search through a sparse array of 2^32 entries, the product of
 *       huge BigInts) are not polled; whoever owns the thread must guard against those.
 */
import { resourceLimits } from "node:worker_threads";
import { newQuickJSWASMModuleFromVariant, RELEASE_SYNC } from "quickjs-emscripten";
import type { QuickJSContext, QuickJSHandle, QuickJSRuntime, QuickJSWASMModule } from "quickjs-emscripten";
import { CHANNELS, SANDBOX_PRELUDE } from "./sandbox-prelude.ts";
import type { PreludeFunction } from "./sandbox-prelude.ts";

/** Heap bytes of one sandbox. */
export const MEMORY_LIMIT_BYTES = 32 * 1024 * 1024;
/** UTF-8 bytes that one run may hand out, console and result together. */
export const OUTPUT_LIMIT_BYTES = 1024 * 1024;

/** Heap that error reports may use beyond the limit, because a full heap cannot even describe itself. */
const REPORT_RESERVE_BYTES = 2 * 1024 * 1024;
/** What must be free after an out-of-memory error for the realm to be worth keeping. */
const KEEP_FREE_BYTES = 4 * 1024 * 1024;
/** A module whose memory (which never shrinks; 2 GiB at most) has grown to this takes no new sandboxes. */
const MODULE_FULL_BYTES = 1024 * 1024 * 1024;
/** V8's default stack of a main thread; worker threads say theirs. */
const MAIN_STACK_MB = 0.96;
const STACK_SHARE = 32;
const STACK_MAX_BYTES = 512 * 1024;
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

/** The WebAssembly module of a thread. A trap breaks it and with it every sandbox in it. */
export interface SandboxModule {
  readonly wasm: QuickJSWASMModule;
  isBroken: boolean;
}

let current: Promise<SandboxModule> | undefined;

/** The thread's module: loaded at the first call (about 15 ms), and again when it is broken or full. */
export async function loadSandboxModule(): Promise<SandboxModule> {
  const loading = (current ??= load());
  const module = await loading.catch((error: unknown) => {
    if (current === loading) current = undefined;
    throw error;
  });
  if (!module.isBroken && module.wasm.getWasmMemory().buffer.byteLength < MODULE_FULL_BYTES) return module;
  if (current === loading) current = undefined;
  return loadSandboxModule();
}

async function load(): Promise<SandboxModule> {
  return { wasm: await newQuickJSWASMModuleFromVariant(RELEASE_SYNC), isBroken: false };
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
  stopped: "interrupted" | "output-limit" | "host-failure" | undefined;
  hostFailure: unknown;
}

const CHANNEL_NAMES = Object.keys(CHANNELS) as (keyof typeof CHANNELS)[];

export class Sandbox {
  readonly #module: SandboxModule;
  readonly #stackBytes: number;
  #realm: Realm | undefined;
  #run: Run | undefined;
  #runs = 0;
  #isDisposed = false;

  /** Costs nothing until the first run. `stackBytes`: guest stack instead of the thread's share (S4). */
  constructor(module: SandboxModule, options: { stackBytes?: number } = {}) {
    this.#module = module;
    this.#stackBytes = options.stackBytes ?? guestStackBytes();
  }

  /** True when the module under it is broken: make a new sandbox in a newly loaded module. */
  get isLost(): boolean {
    return this.#module.isBroken;
  }

  /**
   * Evaluate a program as a global script, run its promise jobs, and format its completion value. Blocks.
   *
   * @returns the completion value as text (see `sandbox-prelude.ts`); a promise counts as what it settled to
   * @throws SandboxError when the program fails, is interrupted or exceeds a limit
   */
  run(program: string, io: SandboxIo): string {
    if (this.#isDisposed || this.#run !== undefined) throw new Error("the sandbox is disposed of, or runs already");
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
      if (this.#module.isBroken) throw new Error("another sandbox broke the module");
      const realm = (this.#realm ??= this.#open());
      this.#evaluate(realm, run, program);
      if (run.stopped !== undefined) this.#fail(realm, run, undefined);
      return run.texts.result;
    } catch (error) {
      if (error instanceof SandboxError || (run.stopped === "host-failure" && error === run.hostFailure)) throw error;
      // A trap or a failed assertion: nothing in the module's memory can be trusted, nor freed.
      this.#module.isBroken = true;
      this.#realm = undefined;
      throw new SandboxError("lost", `the interpreter failed and the sandbox's globals are lost: ${String(error)}`);
    } finally {
      this.#run = undefined;
    }
  }

  /** Free the realm. Idempotent. */
  dispose(): void {
    this.#isDisposed = true;
    this.#close();
  }

  #open(): Realm {
    const runtime = this.#module.wasm.newRuntime({ memoryLimitBytes: MEMORY_LIMIT_BYTES, maxStackSizeBytes: this.#stackBytes });
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

  #close(): void {
    const realm = this.#realm;
    this.#realm = undefined;
    if (realm === undefined || this.#module.isBroken) return;
    try {
      for (const handle of Object.values(realm.functions)) handle.dispose();
      realm.context.dispose();
      realm.runtime.dispose();
    } catch {
      // The engine asserts that nothing leaked; if that fails, its memory is not to be used again.
      this.#module.isBroken = true;
    }
  }

  #poll(): boolean {
    const run = this.#run;
    if (run === undefined) return false;
    if (run.stopped === undefined) this.#guard(run, () => void (run.io.isInterrupted() && (run.stopped = "interrupted")));
    return run.stopped !== undefined;
  }

  #receive(chunk: string): void {
    const run = this.#run;
    const channel = CHANNEL_NAMES[Number(chunk.charAt(0))];
    if (run === undefined || channel === undefined) return;
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

  #evaluate(realm: Realm, run: Run, program: string): void {
    const evaluated = realm.context.evalCode(program, run.file, { type: "global" });
    this.#runJobs(realm, run);
    if (evaluated.error !== undefined) return this.#fail(realm, run, evaluated.error);
    using value = evaluated.value;
    if (run.stopped !== undefined) return;
    const state = realm.context.getPromiseState(value);
    if (state.type === "rejected") return this.#fail(realm, run, state.error);
    if (state.type === "pending") throw new SandboxError("program", "the program's promise can never settle: nothing is left to run");
    const reported = realm.context.callFunction(realm.functions.report, realm.context.undefined, state.value);
    if (state.notAPromise !== true) state.value.dispose();
    if (reported.error !== undefined) return this.#fail(realm, run, reported.error);
    reported.value.dispose();
  }

  #runJobs(realm: Realm, run: Run): void {
    while (run.stopped === undefined && realm.runtime.hasPendingJob()) {
      const done = realm.runtime.executePendingJobs(16);
      // A job's own failure belongs to a promise; what ends up here is an interrupt or a full heap.
      if (done.error !== undefined) done.error.dispose();
      this.#poll();
    }
  }

  /** Turn what was thrown, or why the run was stopped, into an error; clear up behind the program (S2, S3). */
  #fail(realm: Realm, run: Run, thrown: QuickJSHandle | undefined): never {
    if (run.stopped !== undefined) {
      thrown?.dispose();
      this.#clearJobs(realm);
      if (run.stopped === "host-failure") throw run.hostFailure;
      if (run.stopped === "interrupted") throw new SandboxError("interrupted", "interrupted");
      throw new SandboxError("output-limit", `output limit exceeded: a program may print and return ${OUTPUT_LIMIT_BYTES} bytes`);
    }
    realm.runtime.setMemoryLimit(MEMORY_LIMIT_BYTES + REPORT_RESERVE_BYTES);
    const { context, functions } = realm;
    const isDescribed = thrown !== undefined && succeeds(context.callFunction(functions.describe, context.undefined, thrown));
    thrown?.dispose();
    realm.runtime.setMemoryLimit(MEMORY_LIMIT_BYTES);
    if (run.stopped !== undefined) return this.#fail(realm, run, undefined);
    const { errorName, errorMessage, errorStack } = run.texts;
    if (errorMessage.startsWith("out of memory") || errorMessage === "Uncaught null" || !isDescribed) this.#failFull(realm);
    const { place, line } = locate(errorStack, run.file);
    const text = errorName === "" ? errorMessage : errorMessage === "" ? errorName : `${errorName}: ${errorMessage}`;
    throw new SandboxError("program", `${text.slice(0, MESSAGE_CHARS)}${place}`, line);
  }

  #failFull(realm: Realm): never {
    using bytes = realm.context.newNumber(KEEP_FREE_BYTES);
    const canGoOn = succeeds(realm.context.callFunction(realm.functions.probe, realm.context.undefined, bytes));
    if (!canGoOn) this.#close();
    const rest = canGoOn ? "" : "; the sandbox stayed full and starts afresh, its globals are lost";
    throw new SandboxError("memory-limit", `out of memory: a sandbox has ${MEMORY_LIMIT_BYTES / 1024 / 1024} MiB${rest}`);
  }

  /** Without memory no job can queue another, so even a chain without end runs dry; loops end at the next poll. */
  #clearJobs(realm: Realm): void {
    realm.runtime.setMemoryLimit(1);
    while (realm.runtime.hasPendingJob()) realm.runtime.executePendingJobs(1).dispose();
    realm.runtime.setMemoryLimit(MEMORY_LIMIT_BYTES);
  }
}

function succeeds(result: ReturnType<QuickJSContext["callFunction"]>): boolean {
  const isSuccess = result.error === undefined;
  result.dispose();
  return isSuccess;
}

function guestStackBytes(): number {
  const threadMb = resourceLimits.stackSizeMb ?? MAIN_STACK_MB;
  return Math.min(STACK_MAX_BYTES, Math.floor((threadMb * 1024 * 1024) / STACK_SHARE));
}

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
