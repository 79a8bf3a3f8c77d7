/** Which methods a path knows, for the answer to one that it does not. */
import type { Api } from "./api.ts";

/** @returns upper-case names; none: there is nothing at the path */
export function methodsAt(api: Api, path: string): string[] {
  const methods = new Set<string>();
  for (const route of api.routes) {
    if (route.method !== "ALL" && patternOf(route.path).test(path)) methods.add(route.method);
  }
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods].sort();
}

function patternOf(path: string): RegExp {
  const parts = path.split("/").map((part) => (part.startsWith(":") ? "[^/]+" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return new RegExp(`^${parts.join("/")}$`);
}
