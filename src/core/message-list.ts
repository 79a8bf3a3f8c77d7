/** The messages of a transcript, those it began with read only when somebody asks for them. */
import type { Message } from "../protocol/session-model.ts";
import { lastAssistantText } from "../protocol/session-model.ts";
import type { UnreadMessages } from "./unread-messages.ts";

export class MessageList {
  /** What stands ahead of `#messages`. */
  #unread: UnreadMessages | undefined;
  #messages: Message[];

  constructor(begin: UnreadMessages | Message[]) {
    const isRead = Array.isArray(begin);
    this.#unread = isRead ? undefined : begin;
    this.#messages = isRead ? begin : [];
  }

  get length(): number {
    return this.#unreadLength + this.#messages.length;
  }

  get #unreadLength(): number {
    return this.#unread?.length ?? 0;
  }

  /** All of them, the list itself: the same array each time, which grows and shrinks with it. */
  all(): Message[] {
    if (this.#unread !== undefined) {
      this.#messages = [...this.#unread.read(), ...this.#messages];
      this.#unread = undefined;
    }
    return this.#messages;
  }

  push(message: Message): void {
    this.#messages.push(message);
  }

  /** @returns those from index `from` to before `end` */
  slice(from: number, end: number): Message[] {
    const ahead = this.#unreadLength;
    return from < ahead ? this.all().slice(from, end) : this.#messages.slice(from - ahead, Math.max(end - ahead, 0));
  }

  /** Only the first `length` stay. */
  truncate(length: number): void {
    const ahead = this.#unreadLength;
    if (length < ahead) this.all().length = length;
    else this.#messages.length = Math.min(this.#messages.length, length - ahead);
  }

  /** @returns as the function of that name */
  lastAssistantText(from: number): string | undefined {
    const ahead = this.#unreadLength;
    const later = lastAssistantText(this.#messages, Math.max(from - ahead, 0));
    return later ?? (from < ahead ? this.#textAhead(from) : undefined);
  }

  #textAhead(from: number): string | undefined {
    return from === 0 ? this.#unread?.lastAssistantText : lastAssistantText(this.all(), from);
  }
}
