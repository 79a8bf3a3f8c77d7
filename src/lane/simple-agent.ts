/**
 * The adapter behind `defineAgent`: a full SessionAgent around one function per turn. It keeps the transcript, usage, staged context
 * and tool overlay, so that the function need not.
 */
import * as z from "zod";

import { applyOverlay } from "../core/tool-overlay.ts";
import { Transcript } from "../core/transcript.ts";
import type { UnreadSession } from "../core/unread-messages.ts";
import type { AgentBuildContext, RunContext, SessionAgent, SimpleAgentDefinition, TurnOutput } from "../protocol/agent.ts";
import type { Interaction, LaneComms } from "../protocol/comms.ts";
import type { EventInjector, SubscribableInjector } from "../protocol/handles.ts";
import { isInstance } from "../protocol/foreign.ts";
import { json } from "../protocol/json-schema.ts";
import type { CreateSessionRequest } from "../protocol/requests.ts";
import type { Message, PendingSystemContextAppend, Session, SessionSnapshot, SkillKey, ToolOverlay } from "../protocol/session-model.ts";
import { Usage, addUsage } from "../protocol/session-model.ts";
import type { RunResult } from "../protocol/views.ts";
import { AgentError } from "./agent-errors.ts";
import { AgentComms } from "./comms/agent-comms.ts";
import type { HostedAgent } from "./comms/host-loop.ts";
import { hostLoop } from "./comms/host-loop.ts";
import { SimpleTurn } from "./simple-turn.ts";

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const NO_SKILLS: readonly SkillKey[] = Object.freeze([]);
const NO_TOOLS: readonly string[] = Object.freeze([]);
/** Shared by all messages: a transcript holds many. Frozen, as what an agent is shown is for reading. */
const NO_TOOL_CALLS = Object.freeze([]) as unknown as [];
const TurnOutputSchema = z.object({
  text: z.string(),
  usage: Usage.partial().optional(),
  toolCalls: z.int().nonnegative().optional(),
  structuredOutput: json().optional(),
});

export class SimpleAgent implements SessionAgent {
  readonly transcript: Transcript;
  readonly definition: SimpleAgentDefinition;
  readonly build: AgentBuildContext;
  readonly labels: Readonly<Record<string, string>>;
  state: unknown;
  turnCount = 0;
  skillReferences = NO_SKILLS;
  visibleTools: readonly string[];

  constructor(
    definition: SimpleAgentDefinition,
    request: CreateSessionRequest,
    build: AgentBuildContext,
    resume: Session | UnreadSession | undefined,
  ) {
    this.definition = definition;
    this.build = build;
    this.labels = request.labels ? Object.freeze({ ...request.labels }) : NO_LABELS;
    this.visibleTools = definition.tools ?? NO_TOOLS;
    this.transcript = new Transcript(Date.now(), resume, request.systemPrompt);
  }

  runWithEvents(prompt: string, run: RunContext): RunResult | Promise<RunResult> {
    return this.#run(prompt, run, false);
  }

  runHostMode(prompt: string, run: RunContext): RunResult | Promise<RunResult> {
    const { comms } = this.build;
    return comms instanceof AgentComms ? hostLoop(this.#hosted(), comms, prompt, run) : this.#run(prompt, run, true);
  }

  #hosted(): HostedAgent {
    const { transcript, build } = this;
    return {
      sessionId: build.sessionId,
      answer: (prompt, run, interaction) => this.#run(prompt, run, true, interaction),
      takeBack: () => transcript.rollBack(),
      keep: async () => {
        transcript.keep();
        await build.checkpointer?.checkpoint();
      },
    };
  }

  #run(prompt: string, run: RunContext, hostMode: boolean, interaction?: Interaction): RunResult | Promise<RunResult> {
    if (interaction === undefined && run.executionKind === "resume_pending") this.#resume();
    else {
      this.transcript.begin();
      this.transcript.push({ role: "user", content: prompt });
    }
    this.turnCount++;
    const turn = new SimpleTurn(this, prompt, run, hostMode, interaction);
    let running: Promise<TurnOutput>;
    try {
      const output = this.definition.turn(turn);
      if (!isPromise(output)) return this.#complete(turn, output);
      running = Promise.resolve(output);
    } catch (error) {
      return this.#fail(turn, error);
    }
    return running.then(
      (settled) => this.#complete(turn, settled),
      (error: unknown) => this.#fail(turn, error),
    );
  }

  /** The run answers what the transcript ends with. */
  #resume(): void {
    if (!isPending(this.transcript.messages.at(-1)))
      throw new AgentError("no_pending_boundary", "the transcript ends with nothing to answer");
    this.transcript.begin();
  }

  #complete(turn: SimpleTurn, output: TurnOutput): RunResult {
    let result: Omit<RunResult, "sessionId" | "turns" | "usage"> & { usage?: Partial<Usage> };
    try {
      result = readOutput(output);
    } catch (error) {
      return this.#fail(turn, error);
    }
    turn.close();
    const { text, toolCalls, usage: added, structuredOutput } = result;
    const usage = added === undefined ? turn.usage : addUsage(turn.usage, added);
    this.transcript.push({ role: "assistant", content: text, toolCalls: NO_TOOL_CALLS, stopReason: "end_turn", usage });
    this.transcript.addUsage(added === undefined ? turn.takeUsage() : addUsage(turn.takeUsage(), added));
    this.transcript.complete(Date.now());
    const full: RunResult = { text, sessionId: this.build.sessionId, turns: 1, toolCalls, usage };
    if (structuredOutput !== undefined) full.structuredOutput = structuredOutput;
    return full;
  }

  /** A run that waits for its caller is kept as it is, until the lane says that it is to be taken back. */
  #fail(turn: SimpleTurn, error: unknown): never {
    turn.close();
    if (isInstance(error, AgentError) && error.kind === "callback_pending") {
      this.transcript.addUsage(turn.takeUsage());
      this.transcript.complete(Date.now());
    } else this.transcript.rollBack();
    throw error;
  }

  setSkillReferences(references: SkillKey[] | undefined): void {
    this.skillReferences = references ?? NO_SKILLS;
  }

  setFlowToolOverlay(overlay: ToolOverlay | undefined): void {
    const applied = applyOverlay(this.definition.tools ?? NO_TOOLS, overlay);
    if (!applied.ok) throw new AgentError("tool_overlay", `the overlay names a tool the agent does not have: ${applied.unknown}`);
    this.visibleTools = applied.visible;
    this.transcript.keep(); // called before and after every turn: the one before can no longer be cancelled
  }

  cancel(): void {
    this.transcript.rollBack();
  }

  sessionId(): string {
    return this.build.sessionId;
  }

  snapshot(): SessionSnapshot {
    return this.transcript.snapshot();
  }

  sessionClone(): Session {
    return this.transcript.session(this.build.sessionId, Object.keys(this.labels).length > 0 ? { session_labels: { ...this.labels } } : {});
  }

  messagesFrom(index: number): readonly Message[] {
    return this.transcript.messagesFrom(index);
  }

  applyRuntimeSystemContext(appends: PendingSystemContextAppend[]): void {
    this.transcript.applyContext(appends, Date.now());
  }

  systemContextState(): AgentBuildContext["systemContext"] {
    return this.build.systemContext;
  }

  eventInjector(): EventInjector | undefined {
    return this.build.comms?.eventInjector();
  }

  interactionEventInjector(): SubscribableInjector | undefined {
    return this.build.comms?.interactionEventInjector();
  }

  commsRuntime(): LaneComms | undefined {
    return this.build.comms;
  }

  async dispose(): Promise<void> {
    await this.definition.dispose?.(this.state);
  }
}

function isPromise(value: unknown): value is Promise<TurnOutput> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** @throws AgentError invalid_result naming the member */
function readOutput(output: unknown): { text: string; toolCalls: number; usage?: Partial<Usage>; structuredOutput?: unknown } {
  if (typeof output === "string") return { text: output, toolCalls: 0 };
  const parsed = TurnOutputSchema.safeParse(output);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.map(String).join(".");
    throw new AgentError(
      "invalid_result",
      `a turn must return a string or an object with a text: ${where ? `${where}: ` : ""}${issue?.message ?? "it is neither"}`,
    );
  }
  const { text, toolCalls = 0, usage, structuredOutput } = parsed.data;
  return { text, toolCalls, ...(usage && { usage: usage as Partial<Usage> }), ...(structuredOutput !== undefined && { structuredOutput }) };
}

/** Whether a transcript that ends with it wants an answer: of the agent, or of who is to bring a tool's. */
function isPending(last: Message | undefined): boolean {
  if (last?.role === "assistant") return (last.toolCalls?.length ?? 0) > 0;
  if (last?.role === "block_assistant") return last.blocks.some(({ blockType }) => blockType === "tool_use");
  return last?.role === "user" || last?.role === "tool_results";
}
