/** The agent's side of the contract: what an agent's author implements, and what the lane gives to it. Types only. */
import type { Interaction, LaneComms } from "./comms.ts";
import type { AgentEvent } from "./events.ts";
import type { CommsRuntime, EventInjector, SubscribableInjector } from "./handles.ts";
import type { SessionId } from "./ids.ts";
import type { ExecutionKind } from "./runtime.ts";
import type { CreateSessionRequest } from "./requests.ts";
import type { Message, PendingSystemContextAppend, Session, SessionSnapshot, SkillKey, ToolOverlay, Usage } from "./session-model.ts";
import type { AgentExecutionSnapshot, ExternalToolSurfaceSnapshot, ToolScopeSnapshot } from "./snapshots.ts";
import type { RunResult } from "./views.ts";

// ── the short way ──

export type TurnFunction = (turn: TurnContext) => Promise<TurnOutput> | TurnOutput;
/** The answer's text, or the text with what else is known of the turn. */
export type TurnOutput = string | { text: string; usage?: Partial<Usage>; toolCalls?: number; structuredOutput?: unknown };

export interface SimpleAgentDefinition {
  /** Called once per session, when it is made live (again), and awaited. What it gives is `turn.state`. */
  setup?: (session: AgentSetup) => unknown;
  turn: TurnFunction;
  /** Called when the session leaves its lane, and awaited. */
  dispose?: (state: unknown) => void | Promise<void>;
  /** Names of the tools this agent has: what an overlay may name. */
  tools?: string[];
}

export interface AgentSetup {
  readonly request: CreateSessionRequest;
  readonly sessionId: SessionId;
  /** The transcript so far: empty, or that of the session being resumed. */
  readonly messages: readonly Message[];
  readonly agentName: string;
}

/** What a turn function is given. Its functions need no `this`: take it apart as you like. */
export interface TurnContext {
  readonly sessionId: SessionId;
  readonly prompt: string;
  /** 1-based number of this turn since the session was made live. */
  readonly turn: number;
  readonly state: unknown;
  /** Transcript with this turn's prompt as its last message. */
  readonly messages: readonly Message[];
  /** System prompt for the next model call: takes the staged context, once. Call it right before each model call. */
  readonly takeSystemPrompt: () => string;
  readonly labels: Readonly<Record<string, string>>;
  readonly skillReferences: readonly SkillKey[];
  /** Tool names visible in this turn under the overlay. */
  readonly visibleTools: readonly string[];
  /** Whether the turn was asked to stay alive for comms. */
  readonly hostMode: boolean;
  /** What the turn was asked for; undefined: its prompt. "resume_pending": the transcript ends with what is to be answered, `prompt` is not in it. */
  readonly executionKind: ExecutionKind | undefined;
  /**
   * The turn's span, as the W3C Trace Context header of that name: the parent of the agent's own spans, and what its outgoing calls carry on.
   * Undefined: the turn is not traced.
   */
  readonly traceparent: string | undefined;
  /** The session's line to its peers, if it asked for one (`build.commsName`). What a turn waits for there ends with its interrupt. */
  readonly comms: LaneComms | undefined;
  /** What came in and is to be answered, in a run that stays alive for it; `prompt` is its text. */
  readonly interaction: Interaction | undefined;
  /** Aborts on interrupt. */
  readonly signal: AbortSignal;
  /** Polls shared memory: true also inside a synchronous loop. */
  readonly isInterrupted: () => boolean;
  /** @throws TurnInterrupted; swallowing it changes nothing, the turn ends as cancelled */
  readonly throwIfInterrupted: () => void;
  /** True once a cancel-after-boundary was asked for. */
  readonly shouldStopAtBoundary: () => boolean;
  /** Await what it returns: a promise only when the consumer's window is full. */
  readonly emit: (event: AgentEvent) => void | Promise<void>;
  /** Add messages beyond the prompt and the final answer (tool calls and results). */
  readonly append: (...messages: Message[]) => void;
  readonly addUsage: (usage: Partial<Usage>) => void;
  /**
   * What this turn has appended and used so far is saved and stands, even if the turn fails or is interrupted later. For runs that stay
   * alive over many interactions. Without a store it does nothing; when saving fails, the host logs it, and the turn's end tries again.
   */
  readonly checkpoint: () => Promise<void>;
}

// ── the full way ──

export interface SessionAgentBuilder {
  buildAgent(request: CreateSessionRequest, context: AgentBuildContext): Promise<SessionAgent> | SessionAgent;
}

/** Saves a session between turns; failures are logged, never thrown. */
export interface SessionCheckpointer {
  /** @param session - as it is to be saved; without one, as the agent's snapshot says it is, at the cost of what its messagesFrom adds */
  checkpoint(session?: Session): Promise<void>;
}

/** The lane's replica of a session's staged context; the host owns the original. */
export interface SystemContextState {
  /** Not yet taken, oldest first. */
  readonly pending: readonly PendingSystemContextAppend[];
  /** Take everything pending; it will not be given again. */
  takePending(): PendingSystemContextAppend[];
  /** The system prompt with everything pending appended as blocks; takes it. */
  render(systemPrompt: string): string;
}

export interface AgentBuildContext {
  readonly sessionId: SessionId;
  readonly agentName: string;
  /** Emit from outside a run: held, and stamped in the next turn. */
  readonly emit: (event: AgentEvent) => void | Promise<void>;
  readonly checkpointer?: SessionCheckpointer;
  /** The agent returns this object from systemContextState(). */
  readonly systemContext: SystemContextState;
  /** The session's line to its peers: present exactly when its create request has `build.commsName`. */
  readonly comms?: LaneComms;
  /** The session to go on from. */
  readonly resume?: Session;
}

/** What an agent's run is given. Its functions need no `this`. */
export interface RunContext {
  readonly ticket: number;
  readonly signal: AbortSignal;
  readonly isInterrupted: () => boolean;
  readonly shouldStopAtBoundary: () => boolean;
  readonly emit: (event: AgentEvent) => void | Promise<void>;
  /**
   * "resume_pending": go on with what is pending in the session instead of the prompt; when nothing is, throw AgentError
   * "no_pending_boundary". A run that needs its caller's answer to a tool call throws "callback_pending" with `{ toolName, args }`.
   */
  readonly executionKind?: ExecutionKind | undefined;
  /** As `TurnContext.traceparent`. */
  readonly traceparent?: string | undefined;
}

export interface SessionAgent {
  runWithEvents(prompt: string, run: RunContext): Promise<RunResult> | RunResult;
  runHostMode(prompt: string, run: RunContext): Promise<RunResult> | RunResult;
  /** Called before every turn, with undefined to clear. */
  setSkillReferences(references: SkillKey[] | undefined): void;
  /** Called before every turn and, with undefined, after it. Throwing before the run refuses the turn; after it, fails it. */
  setFlowToolOverlay(overlay: ToolOverlay | undefined): void;
  /** Called once after a run that was interrupted, or whose success cannot stand, has ended: put the agent back to the boundary before it. */
  cancel(): void;
  sessionId(): SessionId;
  snapshot(): SessionSnapshot;
  sessionClone(): Session;
  /** Messages from an index on: makes a durable turn O(delta); without it every durable turn costs one clone. */
  messagesFrom?(index: number): readonly Message[];
  applyRuntimeSystemContext(appends: PendingSystemContextAppend[]): void;
  systemContextState(): SystemContextState;
  eventInjector?(): EventInjector | undefined;
  interactionEventInjector?(): SubscribableInjector | undefined;
  commsRuntime?(): CommsRuntime | undefined;
  /** Views of what goes on inside, any JSON. Asked for at any time, also while a run goes on. */
  executionSnapshot?(): AgentExecutionSnapshot | undefined;
  toolScopeSnapshot?(): ToolScopeSnapshot | undefined;
  externalToolSurfaceSnapshot?(): ExternalToolSurfaceSnapshot | undefined;
  dispose?(): void | Promise<void>;
}
