/**
 * Cases of one boundary, one after the other, with the checks that hold for all boundaries: no prototype changed, nothing allocated beyond
 * what the input accounts for. The first case that fails ends the run; its input is made smaller as long as it fails alike.
 */
import { inspect } from "node:util";
import { getHeapStatistics } from "node:v8";

import type { Boundary, Verdict } from "./boundary.ts";
import { Violation, sizeOf } from "./boundary.ts";
import { watchPrototypes } from "./prototypes.ts";
import { Random, caseSeed } from "./random.ts";
import { smallerOf } from "./shrink.ts";

export interface Range {
  readonly seed: number;
  readonly from: number;
  /** Behind the last one. */
  readonly to: number;
}

export interface Outcome {
  readonly name: string;
  readonly accepted: number;
  readonly refused: number;
  readonly ms: number;
  readonly finding?: Finding;
}

export interface Finding {
  readonly name: string;
  readonly seed: number;
  readonly index: number;
  /** Only after the cases before it. */
  readonly needsHistory: boolean;
  readonly error: string;
  readonly input: string;
}

export interface Hooks {
  /** Before each case. */
  readonly onCase?: (index: number) => void;
  /** True: no further case is begun. */
  readonly isOver?: () => boolean;
}

/** Cases between two looks at the prototypes. */
const BATCH = 64;
const ALLOWED_BYTES = 2 * 1024 * 1024;
const BYTES_PER_BYTE = 400;
/** What an input makes the product allocate it does each time; what the engine compiles meanwhile is in the heap once. */
const MEASURED_MAX = 3;
const SHRINK_TRIES = 3000;
const STACK_LINES = 8;

export async function runCases(boundary: Boundary<never>, range: Range, hooks: Hooks = {}): Promise<Outcome> {
  const { name } = boundary;
  const random = new Random();
  const checkPrototypes = watchPrototypes();
  const counts = { accepted: 0, refused: 0 };
  const startedAt = performance.now();
  const run = async (input: never): Promise<Verdict> => {
    for (let tries = 1; ; tries++) {
      const before = allocated();
      const checking = boundary.check(input);
      const verdict = typeof checking === "string" ? checking : await checking;
      const grown = allocated() - before;
      const allowed = (boundary.allowedBytes ?? ALLOWED_BYTES) + (boundary.bytesPerByte ?? BYTES_PER_BYTE) * sizeOf(input);
      if (grown <= allowed) return verdict;
      if (tries === MEASURED_MAX) throw new Violation(`${grown} bytes were allocated for an input of ${sizeOf(input)}`);
    }
  };
  // Most cases end in an error, whose stack costs more than all the rest; that of a finding is made when it is found again.
  const { stackTraceLimit } = Error;
  const finding = async (index: number, input: unknown, error: unknown): Promise<Outcome> => {
    Error.stackTraceLimit = STACK_LINES;
    const again = async (smaller: unknown): Promise<void> => {
      await run(smaller as never);
      checkPrototypes();
    };
    const found = await findingOf(boundary, { seed: range.seed, index }, input, error, again);
    return { name, ...counts, ms: performance.now() - startedAt, finding: found };
  };
  let index = range.from;
  let input: unknown;
  Error.stackTraceLimit = 0;
  try {
    await boundary.open?.();
    for (; index < range.to; index++) {
      if (hooks.isOver?.() === true) break;
      hooks.onCase?.(index);
      random.seed(caseSeed(range.seed, name, index));
      input = undefined;
      input = boundary.make(random);
      counts[await run(input as never)]++;
      if (index % BATCH === 0) checkPrototypes();
    }
    checkPrototypes();
    await boundary.close?.();
  } catch (error) {
    return await finding(index, input, error);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return { name, ...counts, ms: performance.now() - startedAt };
}

/** Bytes of this thread's heap and of the buffers outside it; it falls when garbage is collected. */
function allocated(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

async function findingOf(
  { name }: Boundary<never>,
  at: { seed: number; index: number },
  input: unknown,
  error: unknown,
  run: (input: unknown) => Promise<void>,
): Promise<Finding> {
  const failure = async (candidate: unknown): Promise<string | undefined> => {
    try {
      await run(candidate);
      return undefined;
    } catch (thrown) {
      return textOf(thrown);
    }
  };
  const kind = kindOf(textOf(error));
  const again = await failure(input);
  const needsHistory = again === undefined || kindOf(again) !== kind;
  if (needsHistory) return { name, ...at, needsHistory, error: textOf(error), input: shown(input) };
  let smallest = { input, text: again };
  let tries = SHRINK_TRIES;
  for (let isSmaller = true; isSmaller && tries > 0;) {
    isSmaller = false;
    for (const candidate of smallerOf(smallest.input)) {
      if (--tries <= 0) break;
      const text = await failure(candidate);
      if (text === undefined || kindOf(text) !== kind) continue;
      smallest = { input: candidate, text };
      isSmaller = true;
      break;
    }
  }
  return { name, ...at, needsHistory, error: smallest.text, input: shown(smallest.input) };
}

/** What two failures have in common that are the same: numbers aside. */
const kindOf = (text: string): string => text.split("\n", 1)[0]?.replaceAll(/\d+/g, "#") ?? "";

function textOf(error: unknown): string {
  try {
    return error instanceof Error ? (error.stack ?? String(error)) : `thrown: ${inspect(error)}`;
  } catch {
    return "thrown: something that cannot be shown";
  }
}

function shown(input: unknown): string {
  try {
    if (input instanceof Uint8Array) return `${input.length} bytes: ${Buffer.from(input).toString("hex")}`;
    return inspect(input, { depth: 8, maxStringLength: 2000, breakLength: 140, showProxy: false });
  } catch {
    return "an input that cannot be shown";
  }
}
