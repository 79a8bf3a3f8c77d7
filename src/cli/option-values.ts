/** Values of options, understood or refused: what each function throws, commander tells the caller with the option's name. */
import { InvalidArgumentError } from "commander";

/** @returns what understands a whole number from 1 to `max` */
export function integer(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > max) throw new InvalidArgumentError(`It must be a whole number from 1 to ${max}.`);
    return value;
  };
}

/** A whole number from 0 on. */
export function count(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError("It must be a whole number.");
  return value;
}

/** A path as the caller wrote it. */
export function filePath(text: string): string {
  if (text === "") throw new InvalidArgumentError("It must not be empty.");
  return text;
}

/** One more of several `name=value`. */
export function label(text: string, others: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("It must be name=value.");
  return { ...others, [text.slice(0, at)]: text.slice(at + 1) };
}

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
/** A hundred years. */
const DURATION_MAX_MS = 36_525 * UNIT_MS.d;

/** A length of time as people write it: 90d. @returns milliseconds */
export function duration(text: string): number {
  const [, digits, unit] = /^(\d+)([smhdw])$/.exec(text) ?? [];
  const value = Number(digits) * UNIT_MS[unit as keyof typeof UNIT_MS];
  if (unit === undefined || value < 1 || value > DURATION_MAX_MS)
    throw new InvalidArgumentError("It must be a number and one of s, m, h, d and w: 90d. A hundred years at most.");
  return value;
}

/** As the host has it. */
export const LANES_MAX = 512;

/** A number of lanes, or "auto". */
export function laneCount(text: string): number | "auto" {
  if (text === "auto") return text;
  try {
    return integer(LANES_MAX)(text);
  } catch {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${LANES_MAX}, or auto.`);
  }
}
