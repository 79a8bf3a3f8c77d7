/**
 * The agent of a session: built, and built anew when one is given up. What an agent that was given up still does reaches nobody: not even
 * when none could be built in its place. The session is then what it was at its last boundary, until one can.
 */
import type { UnreadSession } from "../core/unread-messages.ts";
import type { AgentBuildContext, SessionAgent, SessionAgentBuilder, SessionCheckpointer } from "../protocol/agent.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type { WireCreateRequest } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { PendingSystemContextAppend, Session } from "../protocol/session-model.ts";
import { Session as SessionSchema } from "../protocol/session-model.ts";
import { within } from "../transport/within.ts";
import { AgentError, buildFailure } from "./agent-errors.ts";
import { AgentComms } from "./comms/agent-comms.ts";
import type { SessionComms } from "./comms/session-comms.ts";
import type { Handles } from "./build-agent.ts";
import { buildAgent, takeHandles } from "./build-agent.ts";
import { ContextReplica } from "./context-replica.ts";
import type { LaneContext } from "./lane-context.ts";

/** Milliseconds the builder has to replace an agent whose run was given up; its caller waits meanwhile. */
const REBUILD_MAX_MS = 5000;

/** What an agent is built from. */
export interface AgentOrder {
  readonly agentName: string;
  readonly builder: SessionAgentBuilder;
  readonly request: WireCreateRequest;
  /** Staged and not yet taken. */
  readonly pending: readonly PendingSystemContextAppend[];
}

/** What an agent may do to its session. */
export interface AgentOwner {
  readonly lane: Pick<LaneContext, "keeping" | "builds" | "reportStray">;
  /** Of a session that asked for a line to its peers. */
  readonly comms: SessionComms | undefined;
  /** The agent emits, in a run or outside. */
  emit(event: AgentEvent): void | Promise<void>;
  /** Save the session as it stands; only in a lane that keeps sessions. Never rejects. */
  checkpoint(session: Session | undefined): Promise<void>;
  contextTaken(count: number): void;
  /** Do what enters the agent's code: main sees whose it is (RUNNING_SLOT), until `work` returns. */
  entered<T>(work: () => T): T;
}

export class AgentTenure {
  agent!: SessionAgent;
  handles: Handles | undefined;
  readonly #owner: AgentOwner;
  readonly agentName: string;
  readonly #builder: SessionAgentBuilder;
  #request: WireCreateRequest;
  #context: ContextReplica;
  /** What the present agent holds of the session's line. */
  #comms: AgentComms | undefined;
  /** Which agent of the session this is: grows when one is given up. */
  #number = 0;
  /** Its agent was given up, and there is no other. */
  #isVacant = false;
  /** What the next agent of a vacant session is built from. */
  #boundary: Session | undefined;

  constructor(owner: AgentOwner, { agentName, builder, request, pending }: AgentOrder) {
    this.#owner = owner;
    this.agentName = agentName;
    this.#builder = builder;
    this.#request = request;
    this.#context = new ContextReplica((count) => owner.contextTaken(count), pending);
  }

  /** Have the agent built. @param isWanted - asked when it is there: false disposes it */
  async adopt(resume: Session | UnreadSession | undefined, sessionId: SessionId, isWanted = (): boolean => true): Promise<void> {
    const number = this.#number;
    this.#comms = this.#owner.comms && new AgentComms(this.#owner.comms);
    const context: AgentBuildContext = {
      sessionId,
      agentName: this.agentName,
      emit: this.#emitOf(number),
      ...(this.#owner.lane.keeping && { checkpointer: this.#checkpointerOf(number) }),
      systemContext: this.#context,
      ...(this.#comms && { comms: this.#comms }),
    };
    const agent = await this.#owner.lane.builds.limit(
      this.#owner.entered(() => buildAgent(this.#builder, this.#request, context, resume)),
      (maxMs) => new AgentError("internal_error", `its builder took longer than ${maxMs} ms`),
      (late) => void this.#dispose(late),
    );
    if (!isWanted()) {
      await this.#dispose(agent);
      return;
    }
    this.agent = agent; // from here on it is ours to dispose
    if (agent.systemContextState() !== this.#context) {
      throw new AgentError("internal_error", "systemContextState() must give the systemContext of the build context");
    }
  }

  // What an agent keeps is made where nothing else can be captured: a lane holds tens of thousands of them.

  /** @param number - of the agent that emits */
  #emitOf(number: number): AgentBuildContext["emit"] {
    return (event) => (number === this.#number ? this.#owner.emit(event) : undefined);
  }

  #checkpointerOf(number: number): SessionCheckpointer {
    return { checkpoint: async (session) => (number === this.#number ? this.#owner.checkpoint(session) : undefined) };
  }

  /** What the agent is built from, whenever it is. */
  get order(): { readonly agent: string; readonly request: WireCreateRequest } {
    return { agent: this.agentName, request: this.#request };
  }

  /** The agent is the session's: take its handles (A2), and keep of the request what a rebuild needs. */
  begin(request: WireCreateRequest): void {
    this.#request = request;
    this.handles = takeHandles(this.agent);
  }

  feedContext(append: PendingSystemContextAppend): void {
    this.#context.feed(append);
  }

  /** No agent could be built in the place of one that was given up; `renew` may be called again. */
  get isVacant(): boolean {
    return this.#isVacant;
  }

  /** Whether a vacant session is known as it was when it lost its agent. */
  get hasBoundary(): boolean {
    return this.#boundary !== undefined;
  }

  /** The session as its agent has it, or as it was when it lost its agent. @throws what the agent throws */
  sessionClone(): Session {
    return this.#boundary ?? this.agent.sessionClone();
  }

  /**
   * After a run was given up, or in a vacant session: a fresh agent from the boundary the old one went back to.
   *
   * @returns why there is none; never rejects
   */
  async renew(sessionId: SessionId): Promise<string | undefined> {
    const before = this.agent;
    const wasVacant = this.#isVacant;
    this.#isVacant = true;
    this.#closeOff();
    let isLate = false;
    const renewing = (async () => {
      this.#boundary ??= SessionSchema.parse(before.sessionClone());
      await this.adopt(structuredClone(this.#boundary), sessionId, () => !isLate);
      if (!isLate) this.handles = takeHandles(this.agent);
    })();
    const isInTime = await within(renewing, REBUILD_MAX_MS);
    if (!wasVacant) void this.#dispose(before);
    const problem = isInTime
      ? await renewing.then(
          () => undefined,
          (error: unknown) => buildFailure(error).message,
        )
      : `its builder took longer than ${REBUILD_MAX_MS} ms`;
    if (problem === undefined) {
      this.#boundary = undefined;
      this.#isVacant = false;
      return undefined;
    }
    isLate = true;
    this.#closeOff(); // what was built too late, or wrong, reaches nobody
    this.handles = undefined;
    if (this.agent !== before) void this.#dispose(this.agent); // it was built, and is no agent
    if (!isInTime) renewing.catch((error: unknown) => this.#owner.lane.reportStray(error));
    return problem;
  }

  /** The agent of the present number is the session's no longer. */
  #closeOff(): void {
    this.#context = this.#context.succeed();
    this.#comms?.end();
    this.#number++;
  }

  /** The session leaves. Resolves when the agent's own dispose has settled; never rejects. */
  async dispose(): Promise<void> {
    if (!this.#isVacant) await this.#dispose(this.agent);
  }

  async #dispose(agent: SessionAgent | undefined): Promise<void> {
    try {
      await this.#owner.entered(() => agent?.dispose?.());
    } catch (error) {
      this.#owner.lane.reportStray(error);
    }
  }
}
