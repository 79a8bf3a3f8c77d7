/** From what a schema says of a request to INVALID_PARAMS with the fields. */
import type { z } from "@hono/zod-openapi";

import { SessionError } from "../protocol/errors.ts";

/** Issues told at most. */
const ISSUES_MAX = 20;
/** What a field is called that has no name of its own. */
const WHOLE: Readonly<Record<string, string>> = { json: "body", query: "query", param: "path", header: "headers" };

type Issue = z.core.$ZodIssue;

/** @throws SessionError INVALID_PARAMS */
export function refuseAll(target: string, issues: readonly Issue[]): never {
  const told = issues.slice(0, ISSUES_MAX).map((issue) => ({ field: fieldOf(target, issue), problem: issue.message }));
  const first = told[0] ?? { field: WHOLE[target] ?? target, problem: "is not valid" };
  throw new SessionError("INVALID_PARAMS", `invalid ${first.field}: ${first.problem}`, { details: { field: first.field, issues: told } });
}

function fieldOf(target: string, issue: Issue): string {
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
  return path.length === 0 ? (WHOLE[target] ?? target) : path.map(String).join(".");
}
