/** What the turn function sees. Its methods are getters that give functions, so that it may be taken apart: `({ prompt, emit }) => …`. */
import type { RunContext, TurnContext } from "../protocol/agent.ts";
import type { Interaction, LaneComms } from "../protocol/comms.ts";
import type { AgentEvent } from "../protocol/events.ts";
import type { ExecutionKind } from "../protocol/runtime.ts";
import type { SkillKey } from "../protocol/session-model.ts";
import { Message, Usage, addUsage } from "../protocol/session-model.ts";
import { AgentError, TurnInterrupted } from "./agent-errors.ts";
import { AgentComms } from "./comms/agent-comms.ts";
import type { SimpleAgent } from "./simple-agent.ts";

const NO_USAGE: Usage = Object.freeze({ inputTokens: 0, outputTokens: 0 });
const UsageDelta = Usage.partial();

export class SimpleTurn implements TurnContext {
  readonly prompt: string;
  readonly turn: number;
  readonly hostMode: boolean;
  readonly interaction: Interaction | undefined;
  readonly #agent: SimpleAgent;
  readonly #run: RunContext;
  #usage = NO_USAGE;
  /** Not yet in the transcript. */
  #uncounted = NO_USAGE;
  #isClosed = false;
  #comms: AgentComms | undefined;

  constructor(agent: SimpleAgent, prompt: string, run: RunContext, hostMode: boolean, interaction: Interaction | undefined) {
    this.#agent = agent;
    this.#run = run;
    this.prompt = prompt;
    this.turn = agent.turnCount;
    this.hostMode = hostMode;
    this.interaction = interaction;
  }

  get sessionId(): string {
    return this.#agent.build.sessionId;
  }
  get state(): unknown {
    return this.#agent.state;
  }
  get messages(): readonly Message[] {
    return this.#agent.transcript.messages;
  }
  get labels(): Readonly<Record<string, string>> {
    return this.#agent.labels;
  }
  get skillReferences(): readonly SkillKey[] {
    return this.#agent.skillReferences;
  }
  get visibleTools(): readonly string[] {
    return this.#agent.visibleTools;
  }
  get executionKind(): ExecutionKind | undefined {
    return this.#run.executionKind;
  }
  get traceparent(): string | undefined {
    return this.#run.traceparent;
  }
  get comms(): LaneComms | undefined {
    const { comms } = this.#agent.build;
    if (!(comms instanceof AgentComms)) return comms;
    return (this.#comms ??= comms.within(() => this.#run.signal));
  }
  get signal(): AbortSignal {
    return this.#run.signal;
  }
  /** Of this turn so far. */
  get usage(): Usage {
    return this.#usage;
  }

  get takeSystemPrompt(): () => string {
    return () => this.#agent.build.systemContext.render(this.#agent.transcript.systemPrompt);
  }
  get isInterrupted(): () => boolean {
    return this.#run.isInterrupted;
  }
  get throwIfInterrupted(): () => void {
    return () => {
      if (this.#run.isInterrupted()) throw new TurnInterrupted();
    };
  }
  get shouldStopAtBoundary(): () => boolean {
    return this.#run.shouldStopAtBoundary;
  }
  get emit(): (event: AgentEvent) => void | Promise<void> {
    return this.#run.emit;
  }
  get append(): (...messages: Message[]) => void {
    return (...messages) => this.#append(messages);
  }
  get addUsage(): (usage: Partial<Usage>) => void {
    return (usage) => this.#addUsage(usage);
  }
  get checkpoint(): () => Promise<void> {
    return async () => {
      const { checkpointer } = this.#agent.build;
      if (checkpointer === undefined || this.#isClosed) return;
      this.#agent.transcript.addUsage(this.takeUsage());
      this.#agent.transcript.advance(Date.now());
      await checkpointer.checkpoint(this.#agent.sessionClone());
    };
  }

  #append(messages: readonly Message[]): void {
    const checked = messages.map((message, index) => {
      const parsed = Message.safeParse(message);
      if (!parsed.success)
        throw new AgentError("internal_error", `append: message ${index} is not one: ${parsed.error.issues[0]?.message ?? "invalid"}`);
      return parsed.data;
    });
    if (this.#isClosed) return;
    for (const message of checked) this.#agent.transcript.push(message);
  }

  #addUsage(usage: Partial<Usage>): void {
    const parsed = UsageDelta.safeParse(usage);
    if (!parsed.success)
      throw new AgentError("internal_error", `addUsage: ${parsed.error.issues[0]?.path.join(".")}: ${parsed.error.issues[0]?.message}`);
    this.#usage = addUsage(this.#usage, parsed.data as Partial<Usage>);
    this.#uncounted = addUsage(this.#uncounted, parsed.data as Partial<Usage>);
  }

  /** Usage since it was last taken: it is in the transcript from now on. */
  takeUsage(): Usage {
    const usage = this.#uncounted;
    this.#uncounted = NO_USAGE;
    return usage;
  }

  /** The run is over: what it appends later is not part of it, and what it still waits for does not come. */
  close(): void {
    this.#isClosed = true;
    this.#comms?.endTurn();
  }
}
