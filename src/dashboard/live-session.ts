/**
 * One session as it is being watched: its transcript, its events as they come, the turns that this page starts.
 *
 *   W1. Each event is shown once, whether it came with a turn of this page or to the session's follower (event-order.ts).
 *   W2. What a running turn has streamed survives a reload of the page: its events are asked for again from where it began.
 *   W3. A turn ends on the page when its result has come, or when the session says that nothing runs. Its answer is then in the transcript.
 *   W4. Each message is shown once, by their numbers: those of a turn that was seen to end here count as shown, all others are added.
 */
import type { EventCursor, EventEnvelope, Message, SessionView } from "../client/index.ts";
import { WarrenClientError } from "../client/index.ts";
import type { Connection } from "./connection.ts";
import { statusOf } from "./connection.ts";
import { sleep, whenVisible } from "./dom.ts";
import { EventOrder } from "./event-order.ts";
import { messageOf } from "./format.ts";
import { withoutTurns } from "./own-messages.ts";
import { forgetSession, savedSession, saveSession } from "./saved-session.ts";
import type { TurnEntry } from "./transcript.ts";
import { textOf, Transcript } from "./transcript.ts";

const SHOWN_MESSAGES = 100;
/** Messages the server gives at a time, at most. */
const PAGE_MAX = 1000;
const EVERY_MS = 1000;
/** Between attempts to see the session for the first time. */
const AGAIN_MAX_MS = 10_000;

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
  readonly #order = new EventOrder((envelope, isOwn) => this.#show(envelope, isOwn));
  /** Those that stand in the transcript, as far as they are kept for a reload. */
  #messages: Message[] = [];
  #messageCount = 0;
  /** Prompts of turns that have ended here, whose messages are not counted yet. */
  #ended: string[] = [];
  /** The turn that was started here, while its own stream tells of it; and whether it is known where a reload would begin. */
  #own: { readonly entry: TurnEntry; readonly prompt: string; isPlaced: boolean } | undefined;
  /** The turn that runs: another's, or one of this page that it has lost hold of. */
  #turn: TurnEntry | undefined;
  /** Another's that ran before it: events that come late are its. Those of a turn of this page have all come with its stream. */
  #lastTurn: TurnEntry | undefined;
  /** Turns begun and ended, so that what was asked before is not taken for news. */
  #changes = 0;
  #isPaused = false;
  #isGone = false;
  #looking: Promise<void> = Promise.resolve();
  #onReady!: () => void;
  #onFailed!: (error: unknown) => void;
  readonly #ready = new Promise<void>((resolve, reject) => {
    this.#onReady = resolve;
    this.#onFailed = reject;
  });
  #after: EventCursor | undefined;

  constructor(id: string, connection: Connection, listeners: SessionListeners) {
    this.id = id;
    this.#connection = connection;
    this.#listeners = listeners;
    this.#ready.catch(() => {}); // who starts a turn is told
  }

  /** Until it is left. */
  async open(): Promise<void> {
    try {
      const view = await this.#firstLook();
      this.#onReady();
      this.#listeners.onView(view);
      await Promise.all([this.#follow(), this.#poll()]);
    } catch (error) {
      this.#onFailed(error);
      if (this.#hasLeft) return;
      if (statusOf(error) === 404) this.#gone();
      else this.#listeners.onTrouble(messageOf(error));
    }
  }

  /** Tried again, as long as that may help. */
  async #firstLook(): Promise<SessionView> {
    for (let waitMs = EVERY_MS / 2; ; waitMs = Math.min(AGAIN_MAX_MS, waitMs * 2)) {
      try {
        const view = await this.#read();
        const { isActive, messageCount } = view.state;
        if (isActive) this.#resume(messageCount);
        else await this.#load(messageCount);
        return view;
      } catch (error) {
        const mayPass = error instanceof WarrenClientError && error.disposition === "retry";
        if (this.#hasLeft || !mayPass) throw error;
        this.#listeners.onTrouble(`${messageOf(error)}; trying again.`);
        await sleep(waitMs);
      }
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

  #gone(): void {
    this.#isGone = true;
    this.#listeners.onGone();
  }

  #read(): Promise<SessionView> {
    return this.#connection.call((client) => client.read(this.id, { signal: this.#leaving.signal }));
  }

  /** W2. The transcript of a session waits for its turn, so what was seen of it before is shown until then. */
  #resume(messageCount: number): void {
    const saved = savedSession(this.id);
    if (saved !== undefined && saved.messageCount === messageCount) {
      this.#messages = [...saved.messages];
      this.#messageCount = messageCount;
      this.#after = saved.turn.after;
      this.transcript.reset(saved.messages, messageCount - saved.messages.length);
      this.#turn = this.#begin(saved.turn.prompt);
      return;
    }
    forgetSession(this.id); // that turn has ended: another one runs
    this.#messageCount = Math.max(0, messageCount - SHOWN_MESSAGES);
    this.transcript.reset([], this.#messageCount);
    this.#turn = this.#begin(undefined);
    this.#turn.note("running; what was said before is shown when it ends");
  }

  async #load(messageCount: number): Promise<void> {
    forgetSession(this.id);
    const page = await this.#history(Math.max(0, messageCount - SHOWN_MESSAGES));
    this.#messages = page.messages;
    this.#messageCount = page.offset + page.messages.length;
    this.transcript.reset(page.messages, page.offset);
    if (this.#messageCount === 0) this.#after = 0; // from the first
  }

  #history(offset: number): ReturnType<Connection["client"]["history"]> {
    const { signal } = this.#leaving;
    return this.#connection.call((client) => client.history(this.id, { offset, limit: PAGE_MAX }, { signal }));
  }

  /** Run a turn. Waits for its end, which the transcript shows. */
  async start(prompt: string): Promise<void> {
    try {
      await this.#ready;
      await this.#run(prompt);
      await this.#look();
    } catch (error) {
      if (!this.#hasLeft && !(this.#isGone && statusOf(error) === 404)) throw error;
    }
  }

  async #run(prompt: string): Promise<void> {
    const entry = this.#begin(prompt);
    this.#own = { entry, prompt, isPlaced: false };
    this.#save(this.#order.last ?? this.#after);
    this.#order.beginOwn();
    const onEvent = (envelope: EventEnvelope): void => this.#order.own(envelope);
    const onQueued = (position: number): void => entry.note(`waits behind ${position}`);
    const { signal } = this.#leaving;
    try {
      const { text } = await this.#connection.call((client) => client.startTurn(this.id, { prompt }, { onEvent, onQueued, signal }));
      this.#ended.push(prompt);
      this.#end(entry, "done", text);
    } catch (error) {
      const failure = error instanceof WarrenClientError ? error : undefined;
      const isCut = failure?.code === "STREAM_CUT";
      // It goes on without us: the follower tells what it says, the poll when it ends.
      if (isCut) this.#lose(entry);
      if (this.#hasLeft || isCut) throw error;
      this.#end(entry, "failed", failure?.problem?.agentError?.kind === "cancelled" ? "interrupted" : messageOf(error));
    } finally {
      this.#own = undefined;
      this.#order.endOwn();
    }
  }

  /** It is as another's from now on. One that ran before it has ended. */
  #lose(entry: TurnEntry): void {
    this.#turn?.end("unknown");
    this.#turn = entry;
  }

  #begin(prompt: string | undefined): TurnEntry {
    this.#changes++;
    return this.transcript.beginTurn(prompt);
  }

  /** @param after - the event ahead of the turn's first */
  #save(after: EventCursor | undefined): void {
    if (this.#own === undefined) return;
    this.#own.isPlaced = after !== undefined;
    const turn = { prompt: this.#own.prompt, after };
    saveSession(this.id, { messages: this.#messages, messageCount: this.#messageCount, turn });
  }

  #end(turn: TurnEntry, state: "done" | "failed" | "unknown", last?: string): void {
    this.#changes++;
    turn.end(state, last);
    this.#lastTurn = this.#turn;
    if (this.#turn === turn) this.#turn = undefined;
    forgetSession(this.id);
  }

  #show(envelope: EventEnvelope, isOwn: boolean): void {
    const own = isOwn ? this.#own : undefined;
    if (own?.isPlaced === false && envelope.seq !== 0) this.#save(envelope.seq - 1);
    const entry = own?.entry ?? this.#turn ?? this.#lastTurn ?? (this.#turn = this.#begin(undefined));
    entry.event(envelope);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#leaving;
    const onConnection = (state: "open" | "waiting"): void =>
      this.#listeners.onTrouble(state === "open" ? undefined : "The connection was lost; trying again.");
    const events = this.#connection.client.events(this.id, { after: this.#after, signal, onConnection });
    for await (const envelope of events) this.#order.followed(envelope);
    if (this.#hasLeft) return;
    await this.#look().catch(() => {}); // what it said last, if it is still kept
    this.#gone();
  }

  async #poll(): Promise<void> {
    for (;;) {
      await sleep(EVERY_MS);
      await whenVisible();
      if (this.#hasLeft || this.#isGone) return;
      if (this.#isPaused) continue;
      try {
        await this.#look();
      } catch (error) {
        if (this.#hasLeft || statusOf(error) === 404) return; // the follower tells
      }
    }
  }

  /** One at a time: what two have asked for would be shown twice. */
  #look(): Promise<void> {
    return (this.#looking = this.#looking.catch(() => {}).then(() => this.#lookOnce()));
  }

  /** W3, for turns that this page has not started, or has lost hold of. W4. */
  async #lookOnce(): Promise<void> {
    const changes = this.#changes;
    const view = await this.#read();
    if (changes !== this.#changes || this.#isGone) return;
    this.#listeners.onView(view);
    const { isActive, messageCount } = view.state;
    if (this.#own !== undefined) return;
    if (isActive) {
      this.#turn ??= this.#begin(undefined);
      return;
    }
    if (this.#turn === undefined && messageCount === this.#messageCount) {
      this.#ended = []; // they have left no messages
      return;
    }
    const { messages } = await this.#history(this.#messageCount);
    if (changes !== this.#changes) return; // another turn has begun, and they may be of it
    this.#messageCount += messages.length;
    this.#messages = [...this.#messages, ...messages].slice(-SHOWN_MESSAGES);
    const unseen = withoutTurns(messages, this.#ended.splice(0));
    if (this.#turn === undefined) this.transcript.add(unseen);
    else this.#finish(this.#turn, unseen);
  }

  /** The last of the messages are those of the turn. */
  #finish(turn: TurnEntry, messages: Message[]): void {
    const at = messages.findLastIndex(({ role }) => role === "user");
    const prompt = messages[at];
    if (at > 0) this.transcript.add(messages.slice(0, at), turn);
    if (prompt !== undefined) turn.setPrompt(textOf(prompt));
    const answer = messages.slice(at + 1).at(-1);
    if (answer === undefined) this.#end(turn, "unknown");
    else this.#end(turn, "done", textOf(answer));
  }
}
