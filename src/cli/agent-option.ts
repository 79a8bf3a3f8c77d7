/** The agent a caller names: one that ships, a file, or a package; and why a host with it does not open. */
import { statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { builtinAgents } from "../agents/index.ts";
import { hasErrorCode } from "../protocol/errors.ts";
import { UsageError, storeRefusal } from "./command-io.ts";

/** @returns what a host's option `agent` takes */
export function agentModule(agent: string): URL | string {
  if (agent === "echo" || agent === "interpreter") return builtinAgents[agent];
  return isFile(agent) ? pathToFileURL(resolve(agent)) : agent;
}

/** @param agents - `module` or `name=module` each. @returns what a host's option `agent` takes, by name: one without a name has that of its module */
export function agentModules(agents: readonly string[]): Record<string, URL | string> {
  return Object.fromEntries(
    agents.map((text) => {
      const { name, module } = namedAgent(text);
      return [name ?? agentName(module), agentModule(module)];
    }),
  );
}

/** @returns the parts of `module` or `name=module` */
export function namedAgent(text: string): { readonly name: string | undefined; readonly module: string } {
  const [, name, module = text] = /^([^=/\\.]+)=(.+)$/s.exec(text) ?? [];
  return { name, module };
}

/** What stored sessions know their agent by: the same wherever its file lies. */
export function agentName(agent: string): string {
  return isFile(agent) ? basename(agent) : agent;
}

/**
 * @param error - of a service's `open`
 * @returns what the caller is told of it, or the error itself, when it is not about what the caller named
 */
export function openingRefusal(error: unknown, agent: string): unknown {
  if (!hasErrorCode(error)) return error;
  if (error.code === "SESSION_STORE_ERROR") return storeRefusal((error as { cause?: unknown }).cause ?? error);
  if (error.code !== "INVALID_PARAMS") return error;
  const { module: from, reason = error.message } = error.details as { module?: string; reason?: string };
  return new UsageError(`option '--agent <agent>': ${agent} does not load${from === undefined ? "" : ` from ${from}`}: ${reason}`);
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;
