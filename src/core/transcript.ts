/**
 * The transcript a simple agent's adapter keeps: messages, usage and times, with one mark to which the last run can be taken back.
 *
 *   B1. After `rollBack` the transcript is what it was at the last `begin` or `advance`.
 *   B2. A run that has begun and not completed does not show in `snapshot` or `session`.
 */
import type { Message, PendingSystemContextAppend, Session, SessionSnapshot, Usage } from "../protocol/session-model.ts";
import { addUsage } from "../protocol/session-model.ts";
import { MessageList } from "./message-list.ts";
import { withBlocks } from "./system-context.ts";
import type { UnreadMessages, UnreadSession } from "./unread-messages.ts";

const NO_USAGE: Usage = Object.freeze({ inputTokens: 0, outputTokens: 0 });
const NO_METADATA: Session["metadata"] = Object.freeze({});

interface Boundary {
  length: number;
  usage: Usage;
  updatedAt: number;
  lastText: string | undefined;
}

export class Transcript {
  readonly createdAt: number;
  readonly #messages: MessageList;
  readonly #metadata: Session["metadata"];
  #updatedAt: number;
  #usage: Usage;
  #lastText: string | undefined;
  /** Where the last run can be taken back to, while `#canRollBack`. One object for all runs: a turn leaves no garbage here. */
  readonly #mark: Boundary;
  #canRollBack = false;
  #isOpen = false;

  /**
   * @param nowMs - epoch milliseconds
   * @param resume - the session to go on from; otherwise `systemPrompt`, if any, is message 0
   */
  constructor(nowMs: number, resume: Session | UnreadSession | undefined, systemPrompt: string | undefined) {
    this.createdAt = resume?.createdAt ?? nowMs;
    this.#updatedAt = resume?.updatedAt ?? nowMs;
    this.#messages = new MessageList(resume ? begun(resume) : systemPrompt ? [{ role: "system", content: systemPrompt }] : []);
    this.#usage = resume?.usage ?? NO_USAGE;
    this.#metadata = resume?.metadata ?? NO_METADATA;
    this.#lastText = this.#messages.lastAssistantText(0);
    this.#mark = this.#now();
  }

  /** All of them, of a run that is going on too: the same array each time. */
  get messages(): Message[] {
    return this.#messages.all();
  }

  /** Text of the leading system message, "" when there is none. */
  get systemPrompt(): string {
    const first = this.messages[0];
    return first?.role === "system" ? first.content : "";
  }

  /** A run starts: mark where it can be taken back to. */
  begin(): void {
    const mark = this.#mark;
    mark.length = this.#messages.length;
    mark.usage = this.#usage;
    mark.updatedAt = this.#updatedAt;
    mark.lastText = this.#lastText;
    this.#canRollBack = true;
    this.#isOpen = true;
  }

  /** What the run has done so far stands, and shows, whatever becomes of the rest. */
  advance(nowMs: number): void {
    if (!this.#isOpen) return;
    this.#lastText = this.#messages.lastAssistantText(this.#mark.length) ?? this.#lastText;
    this.#updatedAt = nowMs;
    this.begin();
  }

  push(message: Message): void {
    this.#messages.push(message);
  }

  addUsage(usage: Partial<Usage>): void {
    this.#usage = addUsage(this.#usage, usage);
  }

  /** The run succeeded: from now on it shows. */
  complete(nowMs: number): void {
    this.#lastText = this.#messages.lastAssistantText(this.#canRollBack ? this.#mark.length : 0) ?? this.#lastText;
    this.#updatedAt = nowMs;
    this.#isOpen = false;
  }

  /** The last run stands: it can no longer be taken back. Not while a run goes on. */
  keep(): void {
    if (!this.#isOpen) this.#canRollBack = false;
  }

  /** Undo the last run, completed or not, unless it was kept (B1). Once. */
  rollBack(): void {
    if (!this.#canRollBack) return;
    const mark = this.#mark;
    this.#messages.truncate(mark.length);
    this.#usage = mark.usage;
    this.#updatedAt = mark.updatedAt;
    this.#lastText = mark.lastText;
    this.#canRollBack = false;
    this.#isOpen = false;
  }

  /** Write context into the leading system message for good. Between runs only. */
  applyContext(appends: readonly PendingSystemContextAppend[], nowMs: number): void {
    if (appends.length === 0) return;
    const system: Message = { role: "system", content: withBlocks(this.systemPrompt, appends) };
    const { messages } = this;
    if (messages[0]?.role === "system") messages[0] = system;
    else messages.unshift(system);
    this.#canRollBack = false;
    this.#updatedAt = nowMs;
  }

  /** Counts and times; a run that is going on does not show (B2). */
  snapshot(): SessionSnapshot {
    const { length, usage, updatedAt, lastText } = this.#shown();
    const snapshot: SessionSnapshot = { createdAt: this.createdAt, updatedAt, messageCount: length, usage };
    if (lastText !== undefined) snapshot.lastAssistantText = lastText;
    return snapshot;
  }

  /** The messages that show, from index `from` on (B2). */
  messagesFrom(from: number): Message[] {
    return this.#messages.slice(from, this.#shown().length);
  }

  /** The whole session, without a run that is going on (B2). Messages are shared, not copied. */
  session(id: string, metadata: Session["metadata"]): Session {
    const { length, usage, updatedAt } = this.#shown();
    return {
      version: 1,
      id,
      messages: this.#messages.slice(0, length),
      createdAt: this.createdAt,
      updatedAt,
      metadata: { ...this.#metadata, ...metadata },
      usage: { ...usage },
    };
  }

  #shown(): Readonly<Boundary> {
    return this.#isOpen && this.#canRollBack ? this.#mark : this.#now();
  }

  #now(): Boundary {
    return { length: this.#messages.length, usage: this.#usage, updatedAt: this.#updatedAt, lastText: this.#lastText };
  }
}

const begun = (resume: Session | UnreadSession): UnreadMessages | Message[] => ("unread" in resume ? resume.unread : [...resume.messages]);
