/** The API's own kind of app: every route is in the OpenAPI document, and what does not fit its schema is a problem document. */
import { OpenAPIHono } from "@hono/zod-openapi";

import { refuseAll } from "./refusals.ts";
import type { Env } from "./env.ts";

export type Api = OpenAPIHono<Env>;

export function createApi(): Api {
  return new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (!result.success) refuseAll(result.target, result.error.issues);
    },
  });
}
