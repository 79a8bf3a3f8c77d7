/**
 * The WebAssembly interpreter under a sandbox: compiled once a thread, instantiated once a sandbox.
 *
 * Why an instance each and not one shared by all: the engine's own memory limit counts allocations, not bytes, in this
 * build, and its usage report misses strings in maps and BigInts. The only limit that holds is the size of the WebAssembly
 * memory itself, and with one memory each, a trap costs one sandbox and not all of a thread. It costs about 5 ms and
 * 250 KB resident a sandbox (measured over 2,000).
 *
 * Invariants
 *   M1. An instance serves one sandbox at a time, and is handed on only when its memory never grew and nothing failed in it.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resourceLimits } from "node:worker_threads";
import { newQuickJSWASMModuleFromVariant, newVariant, RELEASE_SYNC } from "quickjs-emscripten";
import type { QuickJSWASMModule } from "quickjs-emscripten";

interface Memory {
  readonly buffer: ArrayBuffer;
}

// Neither the language's nor Node's types know it.
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => Memory;
  compile(bytes: Uint8Array): Promise<object>;
};

const PAGE_BYTES = 65_536;
/** What the engine was built for; it cannot start with less. */
const INITIAL_PAGES = 256;
const SPARE_INSTANCES = 4;
/** V8's default stack of a main thread; worker threads say theirs. */
const MAIN_STACK_MB = 0.96;
/** A guest frame costs up to 27 times its bytes on the thread's own stack: measured over calls, callbacks, parser and JSON nesting, cold. */
const STACK_SHARE = 32;
const STACK_MAX_BYTES = 512 * 1024;

export interface SandboxInstance {
  readonly wasm: QuickJSWASMModule;
  readonly memory: Memory;
}

/** What a thread needs to make sandboxes. */
export interface SandboxModule {
  /** @param maxBytes - upper end of the instance's memory, a multiple of 64 KiB */
  takeInstance(maxBytes: number): Promise<SandboxInstance>;
  /** Hand an instance on. Only when all of its runtimes are freed (M1). */
  returnInstance(instance: SandboxInstance): void;
}

let loading: Promise<SandboxModule> | undefined;

/** The thread's module; compiled at the first call, in about 10 ms. */
export function loadSandboxModule(): Promise<SandboxModule> {
  return (loading ??= compile().catch((error: unknown) => {
    loading = undefined;
    throw error;
  }));
}

/** Its type is the one of Node or that of browsers, which may not agree. */
type EngineMemory = NonNullable<NonNullable<Parameters<typeof newVariant>[1]>["wasmMemory"]>;

async function compile(): Promise<SandboxModule> {
  // The file belongs to a package of the engine's package, which need not be visible from here.
  const engine = createRequire(createRequire(import.meta.url).resolve("quickjs-emscripten"));
  const wasmModule = await WebAssembly.compile(await readFile(engine.resolve("@jitl/quickjs-wasmfile-release-sync/wasm")));
  const spare: SandboxInstance[] = [];
  return {
    async takeInstance(maxBytes) {
      const reused = spare.pop();
      if (reused !== undefined) return reused;
      const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: maxBytes / PAGE_BYTES });
      const wasm = await newQuickJSWASMModuleFromVariant(newVariant(RELEASE_SYNC, { wasmModule, wasmMemory: memory as EngineMemory }));
      return { wasm, memory };
    },
    returnInstance(instance) {
      const hasGrown = instance.memory.buffer.byteLength > INITIAL_PAGES * PAGE_BYTES;
      if (!hasGrown && spare.length < SPARE_INSTANCES) spare.push(instance);
    },
  };
}

/** Bytes of guest stack that this thread's own stack can carry: 128 KiB, or about 700 plain calls, on a worker's default of 4 MiB. */
export function guestStackBytes(): number {
  const threadMb = resourceLimits.stackSizeMb ?? MAIN_STACK_MB;
  return Math.min(STACK_MAX_BYTES, Math.floor((threadMb * 1024 * 1024) / STACK_SHARE));
}
