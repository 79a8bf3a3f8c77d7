/** `defineAgent`: from a turn function, or a definition around one, to the builder that lanes load. */
import type { AgentSetup, SessionAgent, SessionAgentBuilder, SimpleAgentDefinition, TurnFunction } from "../protocol/agent.ts";
import { SimpleAgent } from "./simple-agent.ts";

/**
 * The short way to an agent. Its result is what an agent module exports as default.
 *
 * @param agent - a function per turn, or a definition with setup, dispose and tools
 * @throws TypeError when neither
 */
export function defineAgent(agent: TurnFunction | SimpleAgentDefinition): SessionAgentBuilder {
  const definition = typeof agent === "function" ? { turn: agent } : agent;
  checkDefinition(definition);
  return {
    buildAgent(request, context): SessionAgent | Promise<SessionAgent> {
      const simple = new SimpleAgent(definition, request, context);
      if (definition.setup === undefined) return simple;
      const setup: AgentSetup = {
        request,
        sessionId: context.sessionId,
        messages: simple.transcript.messages,
        agentName: context.agentName,
      };
      return Promise.resolve(definition.setup(setup)).then((state) => {
        simple.state = state;
        return simple;
      });
    },
  };
}

function checkDefinition(definition: SimpleAgentDefinition): void {
  if (typeof definition !== "object" || definition === null || typeof definition.turn !== "function") {
    throw new TypeError("defineAgent takes a function, or an object whose turn is one");
  }
  for (const name of ["setup", "dispose"] as const) {
    if (definition[name] !== undefined && typeof definition[name] !== "function")
      throw new TypeError(`defineAgent: ${name} must be a function`);
  }
  if (definition.tools !== undefined && !(Array.isArray(definition.tools) && definition.tools.every((name) => typeof name === "string"))) {
    throw new TypeError("defineAgent: tools must be an array of names");
  }
}
