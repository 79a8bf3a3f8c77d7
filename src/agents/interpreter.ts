/**
 * The interpreter agent: every session is a JavaScript sandbox, every prompt a program.
 *
 * A turn evaluates its prompt in the session's sandbox, streams what the program prints as `text_delta` events, and
 * answers with the program's completion value. Tokens are not reported: there is no model. In host mode it answers requests
 * of its peers (interpreter-requests.ts).
 *
 * Invariants
 *   A1. The sandbox is made at the first turn, so that a session that waits costs no realm.
 *   A2. A program runs without a pause, so nobody can be awaited while it runs: what it prints is gathered, at most
 *       `LIVE_EVENTS_MAX` events go out meanwhile, none after one that the consumer has no room for; the rest is awaited at the end.
 *   A3. A failed turn leaves the globals as they were at the failure, unless its error says that they are lost.
 *   A4. Globals live in memory only. A session that is made live again makes them anew: the programs of its good turns run once more, in
 *       their order, and what they print goes nowhere. A program that fails then fails the turn that needed it.
 */
import { setImmediate as immediate } from "node:timers/promises";

import { defineAgent } from "../agent.ts";
import type { TurnContext } from "../agent.ts";
import { answerInteraction, isInteraction } from "./interpreter-requests.ts";
import { loadSandboxModule, Sandbox, SandboxError } from "./sandbox.ts";

const FLUSH_CHARS = 4 * 1024;
const FLUSH_AFTER_MS = 50;
const LIVE_EVENTS_MAX = 256;
const FINAL_CHUNK_CHARS = 64 * 1024;

interface InterpreterState {
  sandbox: Sandbox | undefined;
  /** The sandbox has been made once: should it be lost now, its globals are (A3). */
  isMade: boolean;
}

/** Console text on its way to the turn's events (A2). */
class OutputStream {
  readonly #turn: TurnContext;
  #text = "";
  #gatheredSinceMs = 0;
  #liveEventsLeft = LIVE_EVENTS_MAX;
  #blocked: Promise<void> | undefined;

  constructor(turn: TurnContext) {
    this.#turn = turn;
  }

  write(text: string): void {
    if (this.#text === "") this.#gatheredSinceMs = performance.now();
    this.#text += text;
    if (this.#text.length >= FLUSH_CHARS) this.#emitLive();
    else this.tick();
  }

  /** Emit what has waited long enough; cheap when there is nothing. */
  tick(): void {
    if (this.#text !== "" && performance.now() - this.#gatheredSinceMs >= FLUSH_AFTER_MS) this.#emitLive();
  }

  async end(): Promise<void> {
    await this.#blocked;
    const rest = this.#text;
    this.#text = "";
    for (let from = 0, to; from < rest.length; from = to) {
      to = Math.min(rest.length, from + FINAL_CHUNK_CHARS);
      // A pair of surrogates is one character and must not be cut.
      if (to < rest.length && (rest.codePointAt(to - 1) ?? 0) > 0xffff) to -= 1;
      await this.#turn.emit({ type: "text_delta", delta: rest.slice(from, to) });
    }
  }

  #emitLive(): void {
    if (this.#blocked !== undefined || this.#liveEventsLeft === 0) return;
    this.#liveEventsLeft -= 1;
    const room = this.#turn.emit({ type: "text_delta", delta: this.#text });
    this.#text = "";
    if (room === undefined) return;
    this.#blocked = room;
    // It is awaited in end(); until then its failure must not count as unhandled.
    room.catch(() => undefined);
  }
}

/** @param isEmpty - without the globals of earlier turns. Rejects when these cannot be made again (A4) */
async function makeSandbox(turn: TurnContext, isEmpty: boolean): Promise<Sandbox> {
  const sandbox = await Sandbox.create(await loadSandboxModule());
  const programs = isEmpty ? [] : earlierPrograms(turn.messages);
  for (const [index, program] of programs.entries()) {
    await immediate(); // others share this lane
    try {
      turn.throwIfInterrupted();
      sandbox.run(program, { write: () => {}, isInterrupted: turn.isInterrupted });
    } catch (error) {
      sandbox.dispose();
      turn.throwIfInterrupted();
      throw new Error(`program ${index + 1} of this session, which ran before, failed when its globals were made again: ${String(error)}`);
    }
  }
  return sandbox;
}

/** Prompts that were answered; the last message is the prompt of this turn. */
function earlierPrograms(messages: TurnContext["messages"]): string[] {
  const answered = messages.filter(({ role }, at) => role === "user" && messages[at + 1]?.role === "assistant");
  return answered.flatMap((message) => (message.role === "user" && !isInteraction(message.content) ? [message.content] : []));
}

export default defineAgent({
  setup: (): InterpreterState => ({ sandbox: undefined, isMade: false }),
  async turn(turn) {
    if (turn.interaction !== undefined) return answerInteraction(turn, turn.interaction);
    const state = turn.state as InterpreterState;
    const sandbox = (state.sandbox ??= await makeSandbox(turn, state.isMade));
    state.isMade = true;
    const output = new OutputStream(turn);
    const isInterrupted = () => {
      output.tick();
      return turn.isInterrupted();
    };
    try {
      return sandbox.run(turn.prompt, { write: (text) => output.write(text), isInterrupted });
    } catch (error) {
      if (error instanceof SandboxError && error.kind === "interrupted") turn.throwIfInterrupted();
      throw error;
    } finally {
      if (sandbox.isLost) state.sandbox = undefined;
      await output.end();
    }
  },
  dispose(state) {
    (state as InterpreterState).sandbox?.dispose();
  },
});
