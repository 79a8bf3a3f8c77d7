/**
 * A conversation at a prompt: reads lines, runs them as turns of one session, and prints what comes. Owns the order of things; the terminal
 * and the host are its caller's.
 *
 *   K1. One thing at a time: a line is begun when the one before is done; lines typed ahead wait.
 *   K2. Ctrl-C is for what is going on: it interrupts the turn that runs; at a prompt with text it drops the text; at an empty one it says
 *       that another leaves, and another leaves. A second one for the same turn leaves, too: a turn may be deaf.
 *       Only the chat's own turn is interrupted; others may use its session.
 *   K3. Everything an agent, a store or a server says is printed without what could control the terminal.
 *   K4. It can be left whatever is going on: nobody waits for an answer any more.
 */
import type { Interface } from "node:readline";

import type { RunResult } from "../protocol/views.ts";
import type { ChatHost, ChatSessionOptions, ChatTurn, ChatTurnOptions } from "./chat-host.ts";
import { EXIT, messageOf } from "./command-io.ts";
import { labelsText, messageText } from "./message-text.ts";
import { printable, printableLines } from "./printable.ts";
import type { ResultWriter } from "./result-writer.ts";
import { timeOf } from "./tables.ts";

export interface ChatLoopOptions {
  readonly host: ChatHost;
  readonly lines: Interface;
  readonly out: ResultWriter;
  /** Said to whoever sits there, not part of the conversation. */
  readonly tell: (text: string) => void;
  /** A session to go on with; undefined: one is made with the first turn. */
  readonly session: string | undefined;
  readonly create: ChatSessionOptions;
  readonly turn: Pick<ChatTurnOptions, "timeoutMs" | "onBusy">;
  /** A person sits there: prompts are shown. */
  readonly isInteractive: boolean;
  /** Results as lines of JSON, no streamed text. */
  readonly json: boolean;
  /** It is being left. */
  readonly onLeft: () => void;
}

const PROMPT = "> ";
const CONTINUED = ". ";
/** Lines typed ahead beyond which no more are read. */
const AHEAD_MAX = 64;
const SHOWN = 20;
const LISTED = 1000;
const CELL_MAX = 60;

export const CHAT_HELP = `/history [n]   the last messages of this session (${SHOWN})
/new           go on in a new session
/session ID    go on in that session
/sessions      the sessions last written
/system TEXT   say this to the model with its next call only
/help          this
/quit          leave; so do Ctrl-D, and Ctrl-C twice
Anything else is a turn. A line that ends with \\ goes on in the next one; one that begins with a space is a turn whatever follows.
`;

export class ChatLoop {
  readonly #options: ChatLoopOptions;
  readonly #ahead: string[] = [];
  #session: string | undefined;
  /** Of the input that is being dealt with: aborted when the chat is left. */
  #taking = new AbortController();
  #running: { readonly turn: ChatTurn; isAsked: boolean } | undefined;
  #wake: (() => void) | undefined;
  #isClosed = false;
  #isWarned = false;
  #failed = 0;
  /** What it leaves with, if something cut it short. */
  #exitCode: number | undefined;

  constructor(options: ChatLoopOptions) {
    this.#options = options;
    this.#session = options.session;
    const { lines } = options;
    lines.on("line", (line) => {
      this.#ahead.push(line);
      if (this.#ahead.length >= AHEAD_MAX) lines.pause();
      this.#isWarned = false;
      this.#wake?.();
    });
    lines.once("close", () => {
      this.#isClosed = true;
      this.#wake?.();
    });
  }

  /** The session the conversation is in, once there is one. */
  get session(): string | undefined {
    return this.#session;
  }

  /** @returns the exit code: of a person's conversation always EXIT.ok, unless a signal ended it; of others whether all turns were good */
  async run(): Promise<number> {
    for (;;) {
      const text = await this.#next();
      if (text === undefined || this.#exitCode !== undefined || this.#options.out.hasFailed) break;
      if (text.trim() === "") continue;
      if ((await this.#take(text)) === "leave") break;
    }
    return this.#exitCode ?? (this.#options.isInteractive || this.#failed === 0 ? EXIT.ok : EXIT.failed);
  }

  /** Ctrl-C (K2). */
  interrupt(): void {
    const { lines, tell, isInteractive } = this.#options;
    const running = this.#running;
    if (running !== undefined && !running.isAsked && isInteractive) {
      running.isAsked = true;
      this.#ahead.length = 0;
      running.turn.interrupt().catch((error: unknown) => {
        // It ended by itself meanwhile.
        if ((error as { code?: unknown }).code !== "SESSION_NOT_RUNNING") tell(`cannot interrupt: ${messageOf(error)}\n`);
      });
      return;
    }
    if (running !== undefined || !isInteractive) return this.leave(EXIT.SIGINT);
    if (lines.line !== "") {
      lines.write(null, { ctrl: true, name: "e" });
      lines.write(null, { ctrl: true, name: "u" });
      return;
    }
    if (this.#isWarned) return this.leave(EXIT.ok);
    this.#isWarned = true;
    tell("\n(Ctrl-C once more leaves)\n");
    lines.prompt();
  }

  /** Interrupt what runs and read no more (K4). */
  leave(exitCode: number): void {
    this.#exitCode ??= exitCode;
    this.#ahead.length = 0;
    this.#taking.abort(new Error("the chat was left"));
    this.#options.lines.close();
    this.#options.onLeft();
  }

  /** @returns the next input, lines that go on put together; undefined: there is none any more */
  async #next(): Promise<string | undefined> {
    const { lines, isInteractive } = this.#options;
    let text = "";
    for (let isContinued = false; ; isContinued = true) {
      if (isInteractive && this.#ahead.length === 0 && !this.#isClosed) {
        lines.setPrompt(isContinued ? CONTINUED : PROMPT);
        lines.prompt();
      }
      while (this.#ahead.length === 0 && !this.#isClosed) {
        lines.resume();
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      const line = this.#ahead.shift();
      if (line === undefined) return text === "" ? undefined : text;
      if (!line.endsWith("\\")) return text + line;
      text += `${line.slice(0, -1)}\n`;
    }
  }

  async #take(text: string): Promise<"leave" | void> {
    const { tell } = this.#options;
    const [, command, argument = ""] = /^\/(\w+)(?:\s+(.*))?$/s.exec(text) ?? [];
    if (command === "quit" || command === "exit") return "leave";
    this.#taking = new AbortController();
    try {
      if (command === undefined) await this.#turn(text.startsWith(" ") ? text.slice(1) : text);
      else await this.#command(command, argument.trim());
    } catch (error) {
      if (this.#exitCode !== undefined) return;
      this.#failed++;
      tell(`error: ${printableLines(messageOf(error))}\n`);
    }
  }

  async #turn(prompt: string): Promise<void> {
    const { host, out, turn, create, json, tell, isInteractive } = this.#options;
    if (this.#session === undefined) {
      this.#session = await this.#ask((signal) => host.create(create, signal));
      if (isInteractive) tell(`(session ${this.#session})\n`);
    }
    const id = this.#session;
    const { signal } = this.#taking;
    let streamed = "";
    const onEvent: ChatTurnOptions["onEvent"] = (event) => {
      if (json || signal.aborted) return;
      if (event.type === "text_delta" && typeof event["delta"] === "string") {
        streamed += event["delta"];
        void out.print(printableLines(event["delta"]));
      } else if (event.type === "tool_call_requested") {
        void out.print(`${streamed === "" || streamed.endsWith("\n") ? "" : "\n"}[${printable(String(event["name"]), CELL_MAX)}]\n`);
        streamed = "";
      }
    };
    const running = host.turn(id, prompt, { ...turn, onEvent, signal });
    this.#running = { turn: running, isAsked: false };
    try {
      const result = await this.#ask(() => running.result);
      if (json) await out.write({ ok: true, ...result });
      else await out.print(ending(streamed, result));
    } catch (error) {
      if (!json && streamed !== "" && !streamed.endsWith("\n")) await out.print("\n");
      if (this.#exitCode !== undefined) return;
      if (isInteractive && kindOf(error) === "cancelled") return tell("(interrupted)\n");
      if (json) await out.write({ ok: false, sessionId: id, error: describe(error) });
      throw error;
    } finally {
      this.#running = undefined;
    }
  }

  /** What is asked of the host when the chat is left may never be answered (K4). */
  #ask<T>(asked: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#taking;
    return new Promise((resolve, reject) => {
      const onLeft = (): void => reject(signal.reason as Error);
      if (signal.aborted) onLeft();
      else signal.addEventListener("abort", onLeft, { once: true });
      asked(signal).then(resolve, reject); // heard even then: a rejection that nobody hears ends the process
    });
  }

  async #command(command: string, argument: string): Promise<void> {
    const { host, out, tell } = this.#options;
    switch (command) {
      case "help":
        return tell(CHAT_HELP);
      case "new":
        this.#session = undefined;
        return tell("(a new session begins with the next turn)\n");
      case "session":
        if (argument === "") throw new Error("/session needs the id of a session: /sessions shows them");
        await this.#ask((signal) => host.history(argument, 0, signal)); // it is there
        this.#session = argument;
        return tell(`(session ${printable(argument, CELL_MAX)})\n`);
      case "sessions": {
        const all = (await this.#ask((signal) => host.list(LISTED, signal))).toSorted((a, b) => b.updatedAt - a.updatedAt);
        for (const { id, updatedAt, messageCount, labels } of all.slice(0, SHOWN)) {
          const mark = id === this.#session ? "*" : " ";
          await out.print(
            `${mark} ${printableLines(id)}  ${timeOf(updatedAt)}  ${messageCount} messages  ${printable(labelsText(labels), CELL_MAX)}\n`,
          );
        }
        return all.length === 0 ? tell("(no sessions)\n") : undefined;
      }
      case "history": {
        if (argument !== "" && !/^[1-9]\d{0,8}$/.test(argument)) throw new Error("/history takes the number of messages to show");
        const id = this.#session;
        const messages = id === undefined ? [] : await this.#ask((signal) => host.history(id, Number(argument || SHOWN), signal));
        for (const message of messages) await out.print(`${message.role}: ${printableLines(messageText(message))}\n`);
        return messages.length === 0 ? tell("(nothing was said yet)\n") : undefined;
      }
      case "system":
        if (argument === "") throw new Error("/system needs a text");
        const session = (this.#session ??= await this.#ask((signal) => host.create(this.#options.create, signal)));
        return tell(`(${await this.#ask((signal) => host.system(session, argument, signal))})\n`);
      default:
        throw new Error(`there is no /${command}: /help shows what there is; with a space ahead of it the line is a turn`);
    }
  }
}

/** @returns what is left to print of a turn whose text came as events, or did not, or was another than its result */
function ending(streamed: string, { text }: RunResult): string {
  const end = streamed === "" || streamed.endsWith("\n") ? "" : "\n";
  return streamed.trimEnd() === text.trimEnd() ? end : `${end}${printableLines(text)}\n`;
}

interface Failure {
  readonly code?: unknown;
  readonly agentError?: { readonly kind?: unknown } | undefined;
  /** Of an error that a server told. */
  readonly problem?: { readonly agentError?: { readonly kind?: unknown } | undefined } | undefined;
}
const agentErrorOf = ({ agentError, problem }: Failure): { readonly kind?: unknown } | undefined => agentError ?? problem?.agentError;
const kindOf = (error: unknown): unknown => agentErrorOf(error as Failure)?.kind;

function describe(error: unknown): object {
  const { code } = error as Failure;
  const agentError = agentErrorOf(error as Failure);
  return {
    code: typeof code === "string" ? code : "INTERNAL_ERROR",
    ...(agentError && { kind: agentError.kind }),
    message: messageOf(error),
  };
}
