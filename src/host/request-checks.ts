/**
 * Checks of what callers hand to a service, beyond what a schema can say: sizes, names of agents, sessions to resume. They come before
 * anything is changed, and throw SessionError INVALID_PARAMS that names the field.
 */
import type { CommsAsk } from "../protocol/comms.ts";
import { commsAskOf } from "../protocol/comms.ts";
import type { SessionId } from "../protocol/ids.ts";
import { parseInput, readable, refuse } from "../protocol/parse.ts";
import type { CallOptions, CreateSessionRequest, StartTurnRequest } from "../protocol/requests.ts";
import {
  CallOptionsSchema,
  CreateSessionRequestSchema,
  SessionIdParam,
  StartTurnRequestSchema,
  resumedIdOf,
} from "../protocol/requests.ts";
import { promptOnly } from "../protocol/shortcuts.ts";
import { DEFAULT_AGENT } from "./resolve-agents.ts";

const NO_OPTIONS: CallOptions = Object.freeze({});

export class RequestChecks {
  readonly #agents: readonly string[];
  readonly #maxPromptBytes: number;

  /** @param maxPromptBytes - of UTF-8 */
  constructor(agents: readonly string[], maxPromptBytes: number) {
    this.#agents = agents;
    this.#maxPromptBytes = maxPromptBytes;
  }

  id(id: unknown): SessionId {
    return parseInput(SessionIdParam, id, "id");
  }

  /** @throws also the signal's reason when it has aborted already */
  callOptions(options: CallOptions | undefined): CallOptions {
    if (options === undefined) return NO_OPTIONS;
    const checked = parseInput(CallOptionsSchema, options, "options");
    checked.signal?.throwIfAborted();
    return checked;
  }

  /** @returns the request, the agent that shall serve it, the id it keeps if it resumes a session, and the name it asks for among its peers */
  create(request: unknown): {
    request: CreateSessionRequest;
    agent: string;
    resumeId: SessionId | undefined;
    /** Its caller's choice. */
    sessionId: SessionId | undefined;
    comms: CommsAsk | undefined;
  } {
    const checked = parseInput(CreateSessionRequestSchema, request, "request") as CreateSessionRequest;
    this.#prompt(checked.prompt);
    if (checked.resourceLimits !== undefined && checked.isolation !== "dedicated")
      refuse("request.resourceLimits", 'needs isolation "dedicated": sessions that share a lane share its limits');
    const resumeId = resumedIdOf(checked.build);
    const { sessionId } = checked;
    if (sessionId !== undefined && resumeId !== undefined)
      refuse("request.sessionId", "must not be named: a session that is resumed has its id");
    return { request: checked, agent: this.#agentNamed(checked.agent), resumeId, sessionId, comms: commsAskOf(checked.build) };
  }

  /** @returns the request with its additional instructions as notices ahead of the prompt: together they are the user message */
  turn(request: unknown): StartTurnRequest {
    const plain = readable("request", () => promptOnly(request));
    if (plain !== undefined) {
      this.#prompt(plain.prompt);
      return plain;
    }
    const checked = parseInput(StartTurnRequestSchema, request, "request") as StartTurnRequest;
    const { additionalInstructions } = checked;
    if (additionalInstructions !== undefined) {
      checked.prompt = `${additionalInstructions.map((text) => `[SYSTEM NOTICE: ${text}]\n\n`).join("")}${checked.prompt}`;
    }
    this.#prompt(checked.prompt);
    return checked;
  }

  #prompt(prompt: string): void {
    // A UTF-16 unit is at most three bytes, so most prompts need no counting.
    if (prompt.length * 3 <= this.#maxPromptBytes) return;
    const bytes = Buffer.byteLength(prompt);
    if (bytes > this.#maxPromptBytes) refuse("request.prompt", `is ${bytes} bytes, the limit is ${this.#maxPromptBytes}`);
  }

  #agentNamed(name: string | undefined): string {
    const all = this.#agents.join(", ");
    const wanted = name ?? (this.#agents.length === 1 ? this.#agents[0] : DEFAULT_AGENT);
    if (wanted !== undefined && this.#agents.includes(wanted)) return wanted;
    return refuse(
      "request.agent",
      name === undefined ? `is needed: this host has ${all}` : `no agent is named ${name}: this host has ${all}`,
    );
  }
}
