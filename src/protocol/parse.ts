/** The one way from unknown input to typed input: parse with a schema or throw INVALID_PARAMS that names the field. */
import type * as z from "zod";

import { SessionError } from "./errors.ts";

/**
 * @param what - name of the argument, the root of the field's path: `request`, `options`, `id`
 * @throws SessionError INVALID_PARAMS; `details.field` is the path of the first wrong member, `details.issues` lists all
 */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ field: fieldOf(what, issue), problem: issue.message }));
  const first = issues[0] ?? { field: what, problem: "is not valid" };
  throw new SessionError("INVALID_PARAMS", `invalid ${first.field}: ${first.problem}`, { details: { field: first.field, issues } });
}

function fieldOf(what: string, issue: z.core.$ZodIssue): string {
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] as string] : issue.path;
  return path.length === 0 ? what : `${what}.${path.map(String).join(".")}`;
}

/** @throws SessionError INVALID_PARAMS for one field, found by other means than a schema */
export function refuse(field: string, problem: string): never {
  throw new SessionError("INVALID_PARAMS", `invalid ${field}: ${problem}`, { details: { field, issues: [{ field, problem }] } });
}
