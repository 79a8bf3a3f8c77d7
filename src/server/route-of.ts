/** The route that a request was for, as it was registered: the same for all sessions. */
import type { Context } from "hono";
import { matchedRoutes } from "hono/route";

/** What no route is registered for. */
const UNMATCHED = "unmatched";

/** @returns e.g. "/v1/sessions/:id"; middleware, whose paths end with a star, counts only when nothing else matched */
export function routeOf(c: Context): string {
  const paths = matchedRoutes(c).map(({ path }) => path);
  return paths.findLast((path) => !path.includes("*")) ?? paths.findLast((path) => path !== "*" && path !== "/*") ?? UNMATCHED;
}
