/** From what the operator wrote for `agent` to module specifiers a lane can import. */
import { createRequire } from "node:module";
import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import type { AgentModule, HostOptions } from "../protocol/options.ts";

/** Name of the agent when a host has only one. */
export const DEFAULT_AGENT = "default";

/** @returns agent name to specifier; relative paths and bare specifiers are looked up from the working directory */
export function resolveAgents(agent: HostOptions["agent"]): Record<string, string> {
  if (typeof agent === "string" || agent instanceof URL) return { [DEFAULT_AGENT]: moduleSpecifier(agent) };
  return Object.fromEntries(Object.entries(agent).map(([name, module]) => [name, moduleSpecifier(module)]));
}

/** @returns what an `import` elsewhere finds the same module by */
export function moduleSpecifier(module: AgentModule): string {
  if (module instanceof URL) return module.href;
  if (/^(file|data|node):/.test(module)) return module;
  if (isAbsolute(module) || /^\.{1,2}[\\/]/.test(module)) return pathToFileURL(resolve(module)).href;
  try {
    return pathToFileURL(createRequire(join(process.cwd(), "package.json")).resolve(module)).href;
  } catch {
    return module; // only `import` may know it; if it does not, the lane says so
  }
}
