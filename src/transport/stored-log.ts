/** The log of a session as it came from the store: surveyed at once, so that reading it cannot fail, and read when somebody asks for it. */
import type { UnreadMessages } from "../core/unread-messages.ts";
import type { Message } from "../protocol/session-model.ts";
import { lastAssistantText } from "../protocol/session-model.ts";
import { readMessages, surveyMessages } from "./message-reader.ts";
import { unpackMessages } from "./packed-write.ts";

export class StoredLog {
  readonly length: number;
  readonly lastAssistantText: string | undefined;
  /** An object of its own: whoever reads the log may change what it gets. */
  readonly #last: Message | undefined;
  #bytes: Uint8Array | undefined;
  #messages: readonly Message[] | undefined;

  private constructor(bytes: Uint8Array, length: number, last: Message | undefined, answer: string | undefined) {
    this.length = length;
    this.lastAssistantText = answer;
    this.#last = last;
    this.#bytes = bytes;
  }

  /**
   * @param bytes - messages one behind the other; they are copied
   * @returns undefined when there are others among them than ordinary ones (message-reader.ts)
   */
  static of(bytes: Uint8Array): StoredLog | undefined {
    const survey = surveyMessages(bytes);
    if (survey === undefined) return undefined;
    const { length, lastAt, answeredAt } = survey;
    const own = new Uint8Array(bytes);
    const last = length === 0 ? undefined : messagesOf(own.subarray(lastAt))[0];
    const answered = answeredAt === lastAt ? last : answeredAt === undefined ? undefined : messagesOf(own.subarray(answeredAt))[0];
    return new StoredLog(own, length, last, answered && lastAssistantText([answered]));
  }

  /** As of an array; no other than the last message is asked for. */
  at(index: -1): Message | undefined {
    return index === -1 ? this.#last : undefined;
  }

  /** @param messages - that stand ahead of the log: the session's system message */
  behind(messages: readonly Message[]): UnreadMessages {
    const { length, lastAssistantText: text } = this;
    return { length: messages.length + length, lastAssistantText: text, read: () => [...messages, ...this.read()] };
  }

  /** @returns the same ones each time */
  read(): readonly Message[] {
    if (this.#bytes !== undefined) {
      this.#messages = messagesOf(this.#bytes);
      this.#bytes = undefined;
    }
    return this.#messages as readonly Message[];
  }
}

/** Of bytes that were surveyed. */
const messagesOf = (bytes: Uint8Array): readonly Message[] => readMessages(bytes) ?? (unpackMessages(bytes) as Message[]);
