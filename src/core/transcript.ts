/**
 * The transcript a simple agent's adapter keeps: messages, usage and times, with one mark to which the last run can be taken back.
 *
 *   B1. After `rollBack` the transcript is what it was at the last `begin`.
 *   B2. A run that has begun and not completed does not show in `snapshot` or `session`.
 */
import type { Message, PendingSystemContextAppend, Session, SessionSnapshot, Usage } from "../protocol/session-model.ts";
import { addUsage, lastAssistantText } from "../protocol/session-model.ts";
import { withBlocks } from "./system-context.ts";

const NO_USAGE: Usage = Object.freeze({ inputTokens: 0, outputTokens: 0 });
const NO_METADATA: Session["metadata"] = Object.freeze({});

interface Mark {
  readonly length: number;
  readonly usage: Usage;
  readonly updatedAt: number;
  readonly lastText: string | undefined;
}

export class Transcript {
  readonly createdAt: number;
  readonly messages: Message[];
  readonly #metadata: Session["metadata"];
  #updatedAt: number;
  #usage: Usage;
  #lastText: string | undefined;
  #mark: Mark | undefined;
  #isOpen = false;

  /**
   * @param nowMs - epoch milliseconds
   * @param resume - the session to go on from; otherwise `systemPrompt`, if any, is message 0
   */
  constructor(nowMs: number, resume: Session | undefined, systemPrompt: string | undefined) {
    this.createdAt = resume?.createdAt ?? nowMs;
    this.#updatedAt = resume?.updatedAt ?? nowMs;
    this.messages = resume ? [...resume.messages] : systemPrompt ? [{ role: "system", content: systemPrompt }] : [];
    this.#usage = resume?.usage ?? NO_USAGE;
    this.#metadata = resume?.metadata ?? NO_METADATA;
    this.#lastText = resume && lastAssistantText(resume.messages);
  }

  /** Text of the leading system message, "" when there is none. */
  get systemPrompt(): string {
    const first = this.messages[0];
    return first?.role === "system" ? first.content : "";
  }

  /** A run starts: mark where it can be taken back to. */
  begin(): void {
    this.#mark = { length: this.messages.length, usage: this.#usage, updatedAt: this.#updatedAt, lastText: this.#lastText };
    this.#isOpen = true;
  }

  push(...messages: Message[]): void {
    this.messages.push(...messages);
  }

  addUsage(usage: Partial<Usage>): void {
    this.#usage = addUsage(this.#usage, usage);
  }

  /** The run succeeded: from now on it shows. */
  complete(nowMs: number): void {
    this.#lastText = lastAssistantText(this.messages.slice(this.#mark?.length ?? 0)) ?? this.#lastText;
    this.#updatedAt = nowMs;
    this.#isOpen = false;
  }

  /** The last run stands: it can no longer be taken back. Not while a run goes on. */
  keep(): void {
    if (!this.#isOpen) this.#mark = undefined;
  }

  /** Undo the last run, completed or not, unless it was kept (B1). Once. */
  rollBack(): void {
    const mark = this.#mark;
    if (mark === undefined) return;
    this.messages.length = mark.length;
    this.#usage = mark.usage;
    this.#updatedAt = mark.updatedAt;
    this.#lastText = mark.lastText;
    this.#mark = undefined;
    this.#isOpen = false;
  }

  /** Write context into the leading system message for good. Between runs only. */
  applyContext(appends: readonly PendingSystemContextAppend[], nowMs: number): void {
    if (appends.length === 0) return;
    const system: Message = { role: "system", content: withBlocks(this.systemPrompt, appends) };
    if (this.messages[0]?.role === "system") this.messages[0] = system;
    else this.messages.unshift(system);
    this.#mark = undefined;
    this.#updatedAt = nowMs;
  }

  /** Counts and times; a run that is going on does not show (B2). */
  snapshot(): SessionSnapshot {
    const { length, usage, updatedAt, lastText } = this.#shown();
    const snapshot: SessionSnapshot = { createdAt: this.createdAt, updatedAt, messageCount: length, usage };
    if (lastText !== undefined) snapshot.lastAssistantText = lastText;
    return snapshot;
  }

  /** The whole session, without a run that is going on (B2). Messages are shared, not copied. */
  session(id: string, metadata: Session["metadata"]): Session {
    const { length, usage, updatedAt } = this.#shown();
    return {
      version: 1,
      id,
      messages: this.messages.slice(0, length),
      createdAt: this.createdAt,
      updatedAt,
      metadata: { ...this.#metadata, ...metadata },
      usage: { ...usage },
    };
  }

  #shown(): Mark {
    if (this.#isOpen && this.#mark) return this.#mark;
    return { length: this.messages.length, usage: this.#usage, updatedAt: this.#updatedAt, lastText: this.#lastText };
  }
}
