/** JSON values as parts of schemas. Apart from `json.ts`, so that what checks nothing by schema does not load zod. */
import * as z from "zod";

import { isInstance, textOf } from "./foreign.ts";
import type { JsonValue } from "./json.ts";
import { NotJsonError, cloneJson } from "./json.ts";

/** A zod schema for any JSON value; its output is a copy. */
export function json(): z.ZodType<JsonValue> {
  return z.unknown().transform((value, context): JsonValue => {
    try {
      return cloneJson(value);
    } catch (error) {
      const { path, message } = isInstance(error, NotJsonError) ? error : { path: [], message: `cannot be read: ${textOf(error)}` };
      context.addIssue({ code: "custom", message, path: [...path] });
      return z.NEVER;
    }
  }) as unknown as z.ZodType<JsonValue>;
}
