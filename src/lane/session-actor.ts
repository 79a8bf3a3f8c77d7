/**
 * A session in its lane: one agent, one mailbox, one command at a time.
 *
 *   A1. The agent is never entered by two commands at once; commands run in the order they came.
 *   A2. Handles are taken from the agent exactly once, before it serves its first command.
 *   A3. A broken agent (throws, returns rubbish) harms its own command and leaves the session usable.
 */
import { Mailbox } from "../core/mailbox.ts";
import { writeSummary } from "../core/slot-summary.ts";
import type { SessionAgent, SessionAgentBuilder } from "../protocol/agent.ts";
import type { WireError } from "../protocol/errors.ts";
import { agentFailure, toWire } from "../protocol/errors.ts";
import type { AgentEvent } from "../protocol/events.ts";
import { parseEvent } from "../protocol/events.ts";
import type {
  ApplyContextCommand,
  CreateCommand,
  ExportCommand,
  HistoryCommand,
  TurnCommand,
  WireCreateRequest,
} from "../protocol/frames.ts";
import { COMMANDS, REPORTS } from "../protocol/frames.ts";
import type { CommsRuntime, EventInjector, HandleKind, SubscribableInjector } from "../protocol/handles.ts";
import { HANDLE_BITS } from "../protocol/handles.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { Message, PendingSystemContextAppend } from "../protocol/session-model.ts";
import { Session, SessionSnapshot } from "../protocol/session-model.ts";
import { ordinarySnapshot } from "../protocol/shortcuts.ts";
import { within } from "../transport/within.ts";
import { AgentError, buildFailure, turnFailure } from "./agent-errors.ts";
import { ContextReplica } from "./context-replica.ts";
import { HeldEvents } from "./held-events.ts";
import type { LaneContext } from "./lane-context.ts";
import type { TurnSeat } from "./turn-run.ts";
import { TurnRun } from "./turn-run.ts";

/** Commands a session may have waiting in its lane; main keeps to it by admission, so more is a bug of ours. */
const MAILBOX_LIMIT = 4096;
/** Milliseconds the builder has to replace an agent whose run was given up; its caller waits meanwhile. */
const REBUILD_MAX_MS = 5000;

export type ActorCommand = TurnCommand | ExportCommand | HistoryCommand | ApplyContextCommand;
export type Handles = { eventInjector?: EventInjector; interactionEventInjector?: SubscribableInjector; commsRuntime?: CommsRuntime };

export type BuildOutcome =
  | { ok: true; actor: SessionActor; createdAt: number; lastAssistantText: string | undefined }
  | { ok: false; error: WireError };

const AGENT_METHODS = [
  "runWithEvents",
  "runHostMode",
  "setSkillReferences",
  "setFlowToolOverlay",
  "cancel",
  "sessionId",
  "snapshot",
  "sessionClone",
  "applyRuntimeSystemContext",
  "systemContextState",
] as const satisfies readonly (keyof SessionAgent)[];

export class SessionActor implements TurnSeat {
  readonly lane: LaneContext;
  readonly slot: number;
  readonly generation: number;
  agent!: SessionAgent;
  id: SessionId;
  handles: Handles | undefined;
  readonly #builder: SessionAgentBuilder;
  readonly #agentName: string;
  #request: WireCreateRequest;
  #context: ContextReplica;
  #seq = 0;
  /** Which agent of the session this is: grows when one is given up. */
  #tenure = 0;
  #run: TurnRun | undefined;
  #mailbox: Mailbox<ActorCommand> | undefined;
  #held: HeldEvents | undefined;
  #onIdle: (() => void) | undefined;
  /** Set when the agent could not be rebuilt: why every further command fails. */
  #broken: WireError | undefined;

  private constructor(lane: LaneContext, command: CreateCommand, builder: SessionAgentBuilder) {
    this.lane = lane;
    this.slot = command[1];
    this.generation = command[2];
    this.id = command[3];
    this.#agentName = command[4];
    this.#request = command[5];
    this.#builder = builder;
    this.#context = new ContextReplica((count) => lane.outbox.append([REPORTS.CONTEXT_TAKEN.op, this.slot, this.generation, count]));
  }

  // ── building ──

  /** Build the session a CREATE asks for. @returns the actor, its summary already published, or why there is none */
  static async build(lane: LaneContext, command: CreateCommand): Promise<BuildOutcome> {
    const builder = lane.agents.get(command[4]);
    if (builder === undefined)
      return { ok: false, error: toWire(agentFailure("internal_error", `no agent named ${command[4]} in this lane`)) };
    const actor = new SessionActor(lane, command, builder);
    let isBuilt = false;
    try {
      const { resumeSession } = actor.#request.build ?? {};
      await actor.#adopt(resumeSession === undefined ? undefined : Session.parse(resumeSession), command[3]);
      actor.id = actor.agent.sessionId();
      if (typeof actor.id !== "string" || actor.id === "" || actor.id.length > 256) {
        throw new AgentError("internal_error", "sessionId() must give a string of 1 to 256 characters");
      }
      const published = actor.publishSummary();
      if (!published.ok) return published;
      actor.handles = actor.#takeHandles();
      // Kept for a rebuild, without what only the first build and turn needed.
      const { resumeSession: _resume, ...build } = actor.#request.build ?? {};
      actor.#request = { ...actor.#request, prompt: "", ...(actor.#request.build && { build }) };
      isBuilt = true;
      return { ok: true, actor, createdAt: published.createdAt, lastAssistantText: published.lastAssistantText };
    } catch (error) {
      return { ok: false, error: buildFailure(error) };
    } finally {
      if (!isBuilt) void actor.#disposeAgent(actor.agent);
    }
  }

  /** @param isWanted - asked when the agent is there: false disposes it */
  async #adopt(resume: Session | undefined, sessionId: SessionId, isWanted = (): boolean => true): Promise<void> {
    const tenure = this.#tenure;
    const agent = (await this.#builder.buildAgent(this.#request, {
      sessionId,
      agentName: this.#agentName,
      emit: (event) => {
        if (tenure !== this.#tenure) return undefined; // of an agent that was given up
        return this.#run ? this.#run.emit(event) : this.emitOutside(event);
      },
      systemContext: this.#context,
      ...(resume && { resume }),
    })) as SessionAgent | undefined | null;
    const missing = AGENT_METHODS.find((method) => typeof agent?.[method] !== "function");
    if (missing !== undefined || agent === undefined || agent === null)
      throw new AgentError("internal_error", `buildAgent must give an agent with ${missing}()`);
    if (!isWanted()) {
      await this.#disposeAgent(agent);
      return;
    }
    this.agent = agent; // from here on it is ours to dispose
    if (agent.systemContextState() !== this.#context) {
      throw new AgentError("internal_error", "systemContextState() must give the systemContext of the build context");
    }
  }

  #takeHandles(): Handles | undefined {
    const eventInjector = this.agent.eventInjector?.();
    const interactionEventInjector = this.agent.interactionEventInjector?.();
    const commsRuntime = this.agent.commsRuntime?.();
    if (!eventInjector && !interactionEventInjector && !commsRuntime) return undefined;
    return {
      ...(eventInjector && { eventInjector }),
      ...(interactionEventInjector && { interactionEventInjector }),
      ...(commsRuntime && { commsRuntime }),
    };
  }

  /** Which handles there are, as HANDLE_BITS. */
  get handleBits(): number {
    let bits = 0;
    for (const kind in this.handles) bits |= HANDLE_BITS[kind as HandleKind];
    return bits;
  }

  /** After a run was given up: a fresh agent from the boundary the old one went back to. Never throws. */
  async rebuild(): Promise<void> {
    const abandoned = this.agent;
    this.#context = this.#context.succeed();
    this.#tenure++;
    let isLate = false;
    const rebuilding = (async () => {
      await this.#adopt(Session.parse(abandoned.sessionClone()), this.id, () => !isLate);
      if (!isLate) this.handles = this.#takeHandles();
    })();
    if (await within(rebuilding, REBUILD_MAX_MS)) {
      await rebuilding.catch((error: unknown) => this.#break(buildFailure(error).message));
    } else {
      isLate = true;
      rebuilding.catch((error: unknown) => this.lane.reportStray(error));
      this.#break(`its builder took longer than ${REBUILD_MAX_MS} ms`);
    }
    void this.#disposeAgent(abandoned);
  }

  #break(reason: string): void {
    this.#broken = toWire(agentFailure("internal_error", `the agent could not be rebuilt: ${reason}`));
  }

  // ── commands ──

  receive(command: ActorCommand): void {
    if (this.#run === undefined) this.#execute(command);
    else if (!(this.#mailbox ??= new Mailbox(MAILBOX_LIMIT)).push(command)) throw new Error(`mailbox of slot ${this.slot} overflows`);
  }

  get currentRun(): TurnRun | undefined {
    return this.#run;
  }

  feedContext(append: PendingSystemContextAppend): void {
    this.#context.feed(append);
  }

  turnEnded(run: TurnRun): void {
    if (this.#run !== run) return;
    this.#run = undefined;
    let next: ActorCommand | undefined;
    while (this.#run === undefined && (next = this.#mailbox?.shift()) !== undefined) this.#execute(next);
    if (this.#run !== undefined) return;
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  }

  /** Call `then` once, when no turn runs and the mailbox is empty: now, or later. */
  whenIdle(then: () => void): void {
    if (this.#run === undefined) then();
    else this.#onIdle = then;
  }

  #execute(command: ActorCommand): void {
    if (command[0] === COMMANDS.TURN.op) {
      this.#run = new TurnRun(this, command);
      if (this.#broken === undefined) this.#run.start();
      else this.#run.refuse(this.#broken);
      return;
    }
    const { outbox } = this.lane;
    try {
      outbox.appendSized([REPORTS.REPLY.op, command[3], this.#answer(command)]);
    } catch (error) {
      outbox.append([REPORTS.REPLY_ERROR.op, command[3], this.#broken ?? turnFailure(error)]);
    }
  }

  #answer(command: Exclude<ActorCommand, TurnCommand>): unknown {
    switch (command[0]) {
      case COMMANDS.EXPORT.op:
        return Session.parse(this.agent.sessionClone());
      case COMMANDS.HISTORY.op:
        return this.#historyPage(command[4], command[5]);
      case COMMANDS.APPLY_CONTEXT.op: {
        this.agent.applyRuntimeSystemContext(command[4]);
        const published = this.publishSummary();
        if (!published.ok) throw new AgentError("internal_error", published.error.message);
        return null;
      }
      default:
        return command satisfies never;
    }
  }

  #historyPage(offset: number, limit: number | undefined): { messageCount: number; messages: Message[] } {
    const { messages } = this.agent.sessionClone();
    const end = limit === undefined ? messages.length : Math.min(offset + limit, messages.length);
    return { messageCount: messages.length, messages: Session.shape.messages.parse(messages.slice(offset, end)) };
  }

  // ── events and summary ──

  takeSeq(count: number): number {
    return (this.#seq += count);
  }

  /** An event from outside a run: kept for the next turn. @throws AgentError invalid_event, event_flood */
  emitOutside(event: AgentEvent): void | Promise<void> {
    const parsed = parseEvent(event);
    if (!parsed.ok) throw new AgentError("invalid_event", parsed.problem);
    return (this.#held ??= new HeldEvents()).hold(parsed.event);
  }

  takeHeld(): AgentEvent[] | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held?.take();
  }

  /** Ask the agent for its snapshot and publish it in shared memory. */
  publishSummary(): { ok: true; createdAt: number; lastAssistantText: string | undefined } | { ok: false; error: WireError } {
    try {
      const given: unknown = this.agent.snapshot();
      const snapshot = ordinarySnapshot(given) ?? SessionSnapshot.parse(given);
      writeSummary(this.lane.table, this.slot, snapshot);
      return { ok: true, createdAt: snapshot.createdAt, lastAssistantText: snapshot.lastAssistantText };
    } catch (error) {
      return { ok: false, error: toWire(agentFailure("internal_error", `the agent's snapshot is not one: ${turnFailure(error).message}`)) };
    }
  }

  /** The session leaves the lane. Resolves when the agent's own dispose has settled. */
  async dispose(): Promise<void> {
    this.takeHeld();
    await this.#disposeAgent(this.agent);
  }

  async #disposeAgent(agent: SessionAgent | undefined): Promise<void> {
    try {
      await agent?.dispose?.();
    } catch (error) {
      this.lane.reportStray(error);
    }
  }
}
