/**
 * One session as it is being watched: its transcript, its events as they come, the turns that this page starts.
 *
 *   W1. Each event is shown once, whether it came with a turn of this page or to the session's follower: by its number.
 *   W2. What a running turn has streamed survives a reload of the page: its events are asked for again from where it began.
 *   W3. A turn ends on the page when its result has come, or when the session says that nothing runs. Its answer is then in the transcript.
 */
import type { EventCursor, EventEnvelope, Message, SessionView } from "../client/index.ts";
import { WarrenClientError } from "../client/index.ts";
import type { Connection } from "./connection.ts";
import { statusOf } from "./connection.ts";
import { sleep, whenVisible } from "./dom.ts";
import { messageOf } from "./format.ts";
import { forgetSession, savedSession, saveSession } from "./saved-session.ts";
import type { TurnEntry } from "./transcript.ts";
import { textOf, Transcript } from "./transcript.ts";

const SHOWN_MESSAGES = 100;
const EVERY_MS = 1000;

export interface SessionListeners {
  onView(view: SessionView): void;
  /** Undefined: all is well again. */
  onTrouble(text: string | undefined): void;
  /** It is out of service. */
  onGone(): void;
}

export class LiveSession {
  readonly id: string;
  readonly transcript = new Transcript();
  readonly #connection: Connection;
  readonly #listeners: SessionListeners;
  readonly #leaving = new AbortController();
  /** Those that stand in the transcript, as far as they are kept for a reload. */
  #messages: Message[] = [];
  #messageCount = 0;
  /** The turn that runs. */
  #turn: TurnEntry | undefined;
  #prompt = "";
  /** The turn that ran last: events that come late are its. */
  #lastTurn: TurnEntry | undefined;
  /** The turn that runs was started here: its own stream brings its events, without gap. */
  #isOurs = false;
  /** Turns begun and ended, so that what was asked before is not taken for news. */
  #changes = 0;
  #isPaused = false;
  #looking: Promise<void> = Promise.resolve();
  #onReady!: () => void;
  readonly #ready = new Promise<void>((resolve) => (this.#onReady = resolve));
  #lastSeq = 0;
  #after: EventCursor | undefined;

  constructor(id: string, connection: Connection, listeners: SessionListeners) {
    this.id = id;
    this.#connection = connection;
    this.#listeners = listeners;
  }

  /** Until it is left. */
  async open(): Promise<void> {
    try {
      const view = await this.#read();
      const saved = savedSession(this.id);
      if (view.state.isActive) this.#resume(saved);
      else await this.#load(view.state.messageCount);
      this.#onReady();
      this.#listeners.onView(view);
      await Promise.all([this.#follow(), this.#poll()]);
    } catch (error) {
      if (this.#hasLeft) return;
      if (statusOf(error) === 404) this.#listeners.onGone();
      else this.#listeners.onTrouble(messageOf(error));
    }
  }

  /** Ask nothing more of the session, unless told to go on. Waits for what is being asked. */
  async pause(isPaused: boolean): Promise<void> {
    this.#isPaused = isPaused;
    await this.#looking.catch(() => {}); // the poll has it
  }

  leave(): void {
    this.#leaving.abort(new DOMException("nobody looks at it", "AbortError"));
  }

  get #hasLeft(): boolean {
    return this.#leaving.signal.aborted;
  }

  #read(): Promise<SessionView> {
    return this.#connection.call((client) => client.read(this.id, { signal: this.#leaving.signal }));
  }

  /** W2. The transcript of a session waits for its turn, so what was seen of it before is shown until then. */
  #resume(saved: ReturnType<typeof savedSession>): void {
    const { messages = [], messageCount = 0, turn } = saved ?? {};
    this.#messages = [...messages];
    this.#messageCount = messageCount;
    this.#after = turn?.after;
    this.transcript.reset(messages, messageCount - messages.length);
    this.#begin(turn?.prompt);
    if (turn === undefined) this.#turn?.note("running; what it said before is shown when it ends");
  }

  async #load(messageCount: number): Promise<void> {
    forgetSession(this.id);
    const offset = Math.max(0, messageCount - SHOWN_MESSAGES);
    const page = await this.#history(offset);
    this.#messages = page.messages;
    this.#messageCount = page.offset + page.messages.length;
    this.transcript.reset(page.messages, page.offset);
    if (this.#messageCount === 0) this.#after = 0; // from the first
  }

  #history(offset: number): ReturnType<Connection["client"]["history"]> {
    return this.#connection.call((client) => client.history(this.id, { offset }, { signal: this.#leaving.signal }));
  }

  /** Run a turn. Waits for its end, which the transcript shows. */
  async start(prompt: string): Promise<void> {
    await this.#ready;
    this.#isOurs = true;
    try {
      await this.#run(prompt, this.#begin(prompt));
      await this.#recount();
    } catch (error) {
      if (!this.#hasLeft) throw error;
    } finally {
      this.#isOurs = false;
    }
  }

  async #run(prompt: string, turn: TurnEntry): Promise<void> {
    const onEvent = (envelope: EventEnvelope): void => this.#take(envelope);
    const onQueued = (position: number): void => turn.note(`waits behind ${position}`);
    const { signal } = this.#leaving;
    try {
      const { text } = await this.#connection.call((client) => client.startTurn(this.id, { prompt }, { onEvent, onQueued, signal }));
      this.#end(turn, "done", text);
    } catch (error) {
      const failure = error instanceof WarrenClientError ? error : undefined;
      // Cut off, it goes on without us: the poll tells when it ends.
      if (this.#hasLeft || failure?.code === "STREAM_CUT") throw error;
      this.#end(turn, "failed", failure?.problem?.agentError?.kind === "cancelled" ? "interrupted" : messageOf(error));
    }
  }

  #begin(prompt: string | undefined): TurnEntry {
    this.#changes++;
    this.#prompt = prompt ?? "";
    this.#turn = this.transcript.beginTurn(prompt);
    if (prompt !== undefined) this.#save(this.#lastSeq === 0 ? this.#after : this.#lastSeq);
    return this.#turn;
  }

  #save(after: EventCursor | undefined): void {
    const turn = { prompt: this.#prompt, after };
    saveSession(this.id, { messages: this.#messages, messageCount: this.#messageCount, turn });
  }

  #end(turn: TurnEntry, state: "done" | "failed" | "unknown", last?: string): void {
    this.#changes++;
    turn.end(state, last);
    this.#lastTurn = turn;
    if (this.#turn === turn) this.#turn = undefined;
    forgetSession(this.id);
  }

  /** The messages of a turn that is shown already count as shown. */
  async #recount(): Promise<Message[]> {
    if (this.#hasLeft) return [];
    const { messages } = await this.#history(this.#messageCount);
    this.#messageCount += messages.length;
    this.#messages = [...this.#messages, ...messages].slice(-SHOWN_MESSAGES);
    return messages;
  }

  /** W1. */
  #take(envelope: EventEnvelope): void {
    const { seq } = envelope;
    if (seq !== 0 && seq <= this.#lastSeq) return;
    const turn = this.#turn ?? this.#lastTurn ?? this.#begin(undefined);
    if (seq !== 0) {
      const isFirst = this.#lastSeq === 0 && this.#after === undefined;
      this.#lastSeq = seq;
      if (isFirst && turn === this.#turn && this.#isOurs) this.#save(seq - 1);
    }
    turn.event(envelope);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#leaving;
    const onConnection = (state: "open" | "waiting"): void =>
      this.#listeners.onTrouble(state === "open" ? undefined : "The connection was lost; trying again.");
    const events = this.#connection.client.events(this.id, { after: this.#after, signal, onConnection });
    for await (const envelope of events) if (!this.#isOurs) this.#take(envelope);
    if (!this.#hasLeft) this.#listeners.onGone();
  }

  async #poll(): Promise<void> {
    while (!this.#hasLeft) {
      await sleep(EVERY_MS);
      await whenVisible();
      if (this.#hasLeft) return;
      if (this.#isPaused) continue;
      try {
        await (this.#looking = this.#look());
      } catch (error) {
        if (this.#hasLeft || statusOf(error) === 404) return; // the follower tells
      }
    }
  }

  /** W3, for turns that this page has not started, or not since it was loaded. */
  async #look(): Promise<void> {
    const changes = this.#changes;
    const view = await this.#read();
    if (changes !== this.#changes) return;
    this.#listeners.onView(view);
    const { isActive, messageCount } = view.state;
    if (this.#isOurs) return;
    if (isActive) {
      if (this.#turn === undefined) this.#begin(undefined);
      return;
    }
    const turn = this.#turn;
    if (turn === undefined && messageCount === this.#messageCount) return;
    const messages = await this.#recount();
    if (turn === undefined) this.transcript.add(messages);
    else this.#finish(turn, messages);
  }

  /** The last of the messages are those of the turn. */
  #finish(turn: TurnEntry, messages: Message[]): void {
    const at = messages.findLastIndex(({ role }) => role === "user");
    const prompt = messages[at];
    if (prompt !== undefined) turn.setPrompt(textOf(prompt));
    const answer = messages.slice(at + 1).at(-1);
    if (answer === undefined) this.#end(turn, "unknown");
    else this.#end(turn, "done", textOf(answer));
  }
}
