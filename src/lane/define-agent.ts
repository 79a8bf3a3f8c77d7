/** `defineAgent`: from a turn function, or a definition around one, to the builder that lanes load. */
import type { UnreadSession } from "../core/unread-messages.ts";
import type {
  AgentBuildContext,
  AgentSetup,
  SessionAgent,
  SessionAgentBuilder,
  SimpleAgentDefinition,
  TurnFunction,
} from "../protocol/agent.ts";
import type { CreateSessionRequest } from "../protocol/requests.ts";
import type { Session } from "../protocol/session-model.ts";
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
  const build: BuildOver = (request, context, resume) => {
    const simple = new SimpleAgent(definition, request, context, resume);
    if (definition.setup === undefined) return simple;
    const setup: AgentSetup = {
      request,
      sessionId: context.sessionId,
      get messages() {
        return simple.transcript.messages;
      },
      agentName: context.agentName,
    };
    return Promise.resolve(definition.setup(setup)).then((state) => {
      simple.state = state;
      return simple;
    });
  };
  const buildAgent = (...[request, context]: Parameters<SessionAgentBuilder["buildAgent"]>): ReturnType<BuildOver> =>
    build(request, context, context.resume);
  const builder = { buildAgent };
  made.set(builder, { build, buildAgent });
  return builder;
}

/** As `buildAgent`, of a session whose messages need not be read yet. */
type BuildOver = (
  request: CreateSessionRequest,
  context: AgentBuildContext,
  resume: Session | UnreadSession | undefined,
) => SessionAgent | Promise<SessionAgent>;

/** The builders that are made here. */
const made = new WeakMap<SessionAgentBuilder, { readonly build: BuildOver; readonly buildAgent: unknown }>();

/** @returns undefined for a builder that wants to be given all messages: another, or one whose buildAgent was replaced */
export function buildOver(builder: SessionAgentBuilder): BuildOver | undefined {
  const ours = made.get(builder);
  return ours?.buildAgent === builder.buildAgent ? ours?.build : undefined;
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
