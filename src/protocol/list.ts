/** Lists in what comes from outside. */
import * as z from "zod";

/** Members that a list may have at most. */
export const LIST_MAX = 1_000_000;
/** Up to here looking for holes costs more than finding them out. */
const SHORT = 1000;

/**
 * A schema for a list. One of a length that nobody filled (a length costs nothing) is refused before its members are asked for one by one:
 * each would be an issue of its own.
 */
export function list<S extends z.ZodType>(member: S): z.ZodPipe<z.ZodType<unknown>, z.ZodArray<S>> {
  return z.custom<unknown>(isFilled, `must be a list of at most ${LIST_MAX} members, without holes`).pipe(z.array(member) as never);
}

function isFilled(value: unknown): boolean {
  if (!Array.isArray(value) || value.length <= SHORT) return true; // what is no list, the schema behind says better
  return value.length <= LIST_MAX && Object.keys(value).length >= value.length;
}
