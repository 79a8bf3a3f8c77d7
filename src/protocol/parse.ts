/** The one way from unknown input to typed input: parse with a schema or throw INVALID_PARAMS that names the field. */
import type * as z from "zod";

import { SessionError } from "./errors.ts";
import { textOf } from "./foreign.ts";

/** Issues told of one value at most: a list of a million wrong members is one mistake. */
const ISSUES_MAX = 20;

/**
 * @param what - name of the argument, the root of the field's path: `request`, `options`, `id`
 * @throws SessionError INVALID_PARAMS; `details.field` is the path of the first wrong member, `details.issues` lists the first ones
 */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const { data, issues } = readable(what, () => parsed(schema, value, what));
  if (issues === undefined) return data as z.output<S>;
  const first = issues[0] ?? { field: what, problem: "is not valid" };
  throw new SessionError("INVALID_PARAMS", `invalid ${first.field}: ${first.problem}`, { details: { field: first.field, issues } });
}

/** Issues are described as they are read: that looks at the value once more. */
function parsed(schema: z.ZodType, value: unknown, what: string): { data?: unknown; issues?: { field: string; problem: string }[] } {
  const result = schema.safeParse(value);
  if (result.success) return { data: result.data };
  const issues = result.error.issues.slice(0, ISSUES_MAX);
  return { issues: issues.map((issue) => ({ field: fieldOf(what, issue), problem: issue.message })) };
}

/** @returns what `read` gives. @throws SessionError INVALID_PARAMS in place of what a getter or a proxy of the caller's throws */
export function readable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return refuse(what, `cannot be read: ${textOf(error)}`);
  }
}

function fieldOf(what: string, issue: z.core.$ZodIssue): string {
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] as string] : issue.path;
  return path.length === 0 ? what : `${what}.${path.map(String).join(".")}`;
}

/** @throws SessionError INVALID_PARAMS for one field, found by other means than a schema */
export function refuse(field: string, problem: string): never {
  throw new SessionError("INVALID_PARAMS", `invalid ${field}: ${problem}`, { details: { field, issues: [{ field, problem }] } });
}
