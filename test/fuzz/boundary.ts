/** What is fuzzed: a place where bytes or values come in, with its oracle. */
import type { Random } from "./random.ts";

/** "refused": by the error that is documented for this place; anything else that is thrown is a finding. */
export type Verdict = "accepted" | "refused";

export interface Boundary<Input = unknown> {
  /** Names it in the table and for `--only`. */
  readonly name: string;
  /** Share of all cases, relative to the others. Default 1. */
  readonly weight?: number;
  /**
   * Heap and external bytes that one case may take beyond what its input accounts for; the input itself counts `bytesPerByte` times.
   * Default 2 MiB and 400.
   */
  readonly allowedBytes?: number;
  readonly bytesPerByte?: number;
  /** Made before the first case, e.g. samples, a live lane. */
  open?(): void | Promise<void>;
  /** @returns the input of the case whose seed `random` has */
  make(random: Random): Input;
  /** Give it to the product. Throws what the product should not have thrown, or Violation. */
  check(input: Input): Verdict | Promise<Verdict>;
  /** After the last case. Throws when something was left behind. */
  close?(): void | Promise<void>;
}

/** A promise of the product that a case broke. */
export class Violation extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Violation";
  }
}

export function expectThat(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}

/** @returns what `run` gives, or undefined when it threw an error that `isDocumented` knows; anything else goes on */
export function attempt<T>(run: () => T, isDocumented: (error: unknown) => boolean): { readonly value: T } | undefined {
  try {
    return { value: run() };
  } catch (error) {
    if (isDocumented(error)) return undefined;
    throw error;
  }
}

/** Rough size of an input, for the bound on what may be allocated. */
export function sizeOf(input: unknown): number {
  try {
    return measured(input);
  } catch {
    return 1024; // it cannot be looked at
  }
}

function measured(input: unknown): number {
  if (input instanceof Uint8Array || typeof input === "string") return input.length;
  if (Array.isArray(input) && input.length < 100) return input.reduce((bytes: number, part) => bytes + sizeOf(part), 16);
  if (typeof input === "object" && input !== null && "bytes" in input && input.bytes instanceof Uint8Array) return input.bytes.length;
  return 1024;
}
