/**
 * A host-mode run of an agent with a line to its peers: it answers its prompt, if there is one, or what is pending, and then one interaction after the other,
 * for as long as nobody ends it.
 *
 *   O1. An interaction that was answered stands: it is saved before the next one is taken. One that fails is taken back, told, and the run
 *       goes on; FAILURES_MAX in a row end it with the last error.
 *   O2. Asked to stop at its boundary or dismissed, or when its session leaves, the run ends with a good result: the text of the last
 *       answer. Interrupted, it ends as cancelled; what stands, stands.
 *   O3. Waiting costs nothing: no timer, no polling.
 */
import type { RunContext } from "../../protocol/agent.ts";
import type { Interaction, InteractionTap } from "../../protocol/comms.ts";
import type { AgentEvent } from "../../protocol/events.ts";
import { parseEvent } from "../../protocol/events.ts";
import type { Usage } from "../../protocol/session-model.ts";
import { addUsage } from "../../protocol/session-model.ts";
import type { RunResult } from "../../protocol/views.ts";
import { TurnInterrupted, turnFailure } from "../agent-errors.ts";
import type { Interruptible } from "../lane-context.ts";
import type { AgentComms } from "./agent-comms.ts";
import { renderInteraction } from "./render-interaction.ts";

/** Interactions that may fail one after the other. */
export const FAILURES_MAX = 3;

/** The agent whose run it is. */
export interface HostedAgent {
  readonly sessionId: string;
  /** One turn. What it changed is taken back when it fails. */
  answer(prompt: string, run: RunContext, interaction?: Interaction): RunResult | Promise<RunResult>;
  /** The last answer is not to be: take back what it changed. */
  takeBack(): void;
  /** The last answer stands: it can be taken back no longer, and is saved. Never rejects. */
  keep(): Promise<void>;
}

export async function hostLoop(agent: HostedAgent, comms: AgentComms, prompt: string, run: RunContext): Promise<RunResult> {
  const loop = new HostLoop(agent, comms, run);
  try {
    return await loop.run(prompt);
  } finally {
    loop.close();
  }
}

class HostLoop implements Interruptible {
  readonly #agent: HostedAgent;
  readonly #comms: AgentComms;
  readonly #run: RunContext;
  #isDismissed = false;
  /** Ends the present wait. */
  #wake: (() => void) | undefined;
  #text = "";
  #turns = 0;
  #toolCalls = 0;
  #usage: Usage = { inputTokens: 0, outputTokens: 0 };

  constructor(agent: HostedAgent, comms: AgentComms, run: RunContext) {
    this.#agent = agent;
    this.#comms = comms;
    this.#run = run;
    comms.onDismiss(() => {
      this.#isDismissed = true;
      this.#wake?.();
    });
  }

  async run(prompt: string): Promise<RunResult> {
    if (prompt !== "" || this.#run.executionKind === "resume_pending") await this.#stands(await this.#agent.answer(prompt, this.#run));
    let failures = 0;
    for (let next; (next = await this.#next()) !== undefined;) {
      const failure = await this.#answer(next);
      failures = failure === undefined ? 0 : failures + 1;
      if (failures >= FAILURES_MAX) throw failure?.thrown;
    }
    const { sessionId } = this.#agent;
    return { text: this.#text, sessionId, turns: this.#turns, toolCalls: this.#toolCalls, usage: this.#usage };
  }

  close(): void {
    this.#comms.onDismiss(undefined);
  }

  /** Called when the lane is told to look. */
  noticeInterrupt(): void {
    if (this.#isOver) this.#wake?.();
  }

  get #isOver(): boolean {
    return this.#isDismissed || this.#comms.isClosed || this.#run.isInterrupted() || this.#run.shouldStopAtBoundary();
  }

  /** O3. @returns undefined when the run is to end */
  async #next(): Promise<Interaction | undefined> {
    this.#assertNotInterrupted();
    if (this.#isOver) return undefined;
    const { next, stop } = this.#comms.wait();
    const ended = Symbol("ended");
    this.#wake = () => stop(ended);
    this.#comms.running.add(this);
    try {
      return await next;
    } catch (thrown) {
      this.#assertNotInterrupted();
      if (thrown === ended || this.#comms.isClosed) return undefined;
      throw thrown;
    } finally {
      this.#wake = undefined;
      this.#comms.running.delete(this);
    }
  }

  /** O1. @returns what failed it */
  async #answer(interaction: Interaction): Promise<{ readonly thrown: unknown } | undefined> {
    const { id: interactionId } = interaction;
    const tap = this.#comms.tap(interactionId);
    const run = tap === undefined ? this.#run : new TappedRun(this.#run, tap);
    let result: RunResult;
    try {
      result = await this.#agent.answer(renderInteraction(interaction), run, interaction);
      this.#assertNotInterrupted();
    } catch (thrown) {
      this.#agent.takeBack();
      const error = this.#run.isInterrupted() ? "Run was cancelled" : (turnFailure(thrown).agentError?.message ?? "it failed");
      await this.#end(tap, { type: "interaction_failed", interactionId, error });
      this.#assertNotInterrupted();
      return { thrown };
    }
    await this.#stands(result);
    await this.#end(tap, { type: "interaction_complete", interactionId, result: result.text });
    return undefined;
  }

  async #end(tap: InteractionTap | undefined, event: AgentEvent): Promise<void> {
    tap?.end(event);
    if (!this.#run.isInterrupted()) await this.#run.emit(event);
  }

  async #stands({ text, toolCalls, usage }: RunResult): Promise<void> {
    if (this.#run.isInterrupted()) {
      this.#agent.takeBack();
      throw new TurnInterrupted();
    }
    this.#text = text;
    this.#turns++;
    this.#toolCalls += toolCalls;
    this.#usage = addUsage(this.#usage, usage);
    await this.#agent.keep();
  }

  #assertNotInterrupted(): void {
    if (this.#run.isInterrupted()) throw new TurnInterrupted();
  }
}

/** The run of one interaction whose events are wanted. */
class TappedRun implements RunContext {
  readonly #run: RunContext;
  readonly #tap: InteractionTap;

  constructor(run: RunContext, tap: InteractionTap) {
    this.#run = run;
    this.#tap = tap;
  }

  get ticket(): number {
    return this.#run.ticket;
  }
  get traceparent(): string | undefined {
    return this.#run.traceparent;
  }
  get signal(): AbortSignal {
    return this.#run.signal;
  }
  get isInterrupted(): () => boolean {
    return this.#run.isInterrupted;
  }
  get shouldStopAtBoundary(): () => boolean {
    return this.#run.shouldStopAtBoundary;
  }
  get emit(): RunContext["emit"] {
    return (event) => {
      const emitted = this.#run.emit(event);
      const parsed = parseEvent(event);
      if (parsed.ok) this.#tap.event(parsed.event);
      return emitted;
    };
  }
}
