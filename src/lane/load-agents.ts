/** Loading agent modules inside a lane. */
import type { SessionAgentBuilder } from "../protocol/agent.ts";
import { describeError } from "./agent-errors.ts";

/** What became of loading: every agent, or the first that failed with its module and the reason. */
export type LoadReport = { ok: true } | { ok: false; agent: string; module: string; reason: string };

/** TypeScript endings Node may strip types from itself. */
const TYPESCRIPT = /\.[cm]?ts$/;

/**
 * Import every module and take its default export.
 *
 * @param modules - agent name to module specifier (a file URL or a bare specifier)
 * @param agents - filled in
 */
export async function loadAgents(modules: Readonly<Record<string, string>>, agents: Map<string, SessionAgentBuilder>): Promise<LoadReport> {
  for (const [agent, module] of Object.entries(modules)) {
    try {
      agents.set(agent, await loadAgent(module));
    } catch (error) {
      return { ok: false, agent, module, reason: error instanceof Error ? error.message : describeError(error) };
    }
  }
  return { ok: true };
}

async function loadAgent(module: string): Promise<SessionAgentBuilder> {
  if (TYPESCRIPT.test(module) && !("typescript" in process.features && process.features.typescript)) {
    throw new Error(`Node ${process.versions.node} does not strip types: build the agent to JavaScript, or use Node 22.18 or newer`);
  }
  const loaded = (await import(module)) as { default?: unknown };
  const builder = loaded.default;
  if (builder === undefined) throw new Error("the module has no default export");
  if (typeof builder !== "object" || builder === null || typeof (builder as { buildAgent?: unknown }).buildAgent !== "function") {
    throw new Error("the module's default export is not a SessionAgentBuilder: export default defineAgent(…)");
  }
  return builder as SessionAgentBuilder;
}
