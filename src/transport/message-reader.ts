/**
 * Reads messages as packMessages writes ordinary ones: texts of the system, of users and of assistants, their members in the order in
 * which our schemas give them. At every wake-up a lane reads a whole log, which with the decoder took a third of the wake-up: it looks at
 * each key anew, and what it gives has been scanned before (msgpack-scan.ts) and is checked afterwards.
 *
 *   MR1. What is read is what the decoder gives for the same bytes. For anything else nothing is given, and the decoder decides.
 *   MR2. What is surveyed can be read, by this reader or by the decoder, and is as many messages.
 */
import { STOP_REASONS } from "../protocol/session-model.ts";
import type { Message, StopReason, Usage } from "../protocol/session-model.ts";
import { encodeValue } from "./codec.ts";

const packed = (...values: readonly unknown[]): Uint8Array => Buffer.concat(values.map(encodeValue));
/** Without the empty text they end with. */
const USER = packed({ role: "user", content: "" }).subarray(0, -1);
const SYSTEM = packed({ role: "system", content: "" }).subarray(0, -1);
/** A map of five, its first two members. */
const ASSISTANT = Buffer.concat([Buffer.of(0xde, 0, 5), packed("role", "assistant", "content")]);
const STOPPED = packed("toolCalls", [], "stopReason");
const STOPS = STOP_REASONS.map((reason) => ({ reason, bytes: packed(reason) }));
const USAGE = Buffer.concat([packed("usage"), Buffer.of(0xde, 0)]);
const INPUT = packed("inputTokens");
const OUTPUT = packed("outputTokens");
const CREATION = packed("cacheCreationTokens");
const READ = packed("cacheReadTokens");
/** What bytes that are no UTF-8 are read as: each decoder has its own way with those. */
const REPLACEMENT = "\ufffd";

/** @returns undefined for messages that are not ordinary, or not messages */
export function readMessages(bytes: Uint8Array): Message[] | undefined {
  const reader = new MessageReader(bytes);
  const messages: Message[] = [];
  while (!reader.isAtEnd) {
    const message = reader.message();
    if (message === undefined) return undefined;
    messages.push(message);
  }
  return messages;
}

/** What is known of messages without their texts. */
export interface Survey {
  readonly length: number;
  /** Where the last message begins; 0 when there is none. */
  readonly lastAt: number;
  /** Where the last message of an assistant begins that has a text; undefined when there is none. */
  readonly answeredAt: number | undefined;
}

/** @returns undefined for messages that are not ordinary, or not messages (MR2) */
export function surveyMessages(bytes: Uint8Array): Survey | undefined {
  const reader = new MessageReader(bytes, true);
  let length = 0;
  let lastAt = 0;
  let answeredAt: number | undefined;
  while (!reader.isAtEnd) {
    lastAt = reader.at;
    const message = reader.message();
    if (message === undefined) return undefined;
    if (message.role === "assistant" && message.content !== "") answeredAt = lastAt;
    length++;
  }
  return { length, lastAt, answeredAt };
}

/** Stands for any text but the empty one. */
const SOME_TEXT = "…";

class MessageReader {
  readonly #bytes: Buffer;
  readonly #isSurvey: boolean;
  #at = 0;

  /** @param isSurvey - texts are passed over: instead of each there is SOME_TEXT */
  constructor(bytes: Uint8Array, isSurvey = false) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#isSurvey = isSurvey;
  }

  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  message(): Message | undefined {
    if (this.#skips(ASSISTANT)) return this.#assistant();
    const role = this.#skips(USER) ? "user" : this.#skips(SYSTEM) ? "system" : undefined;
    const content = role && this.#text();
    return role === undefined || content === undefined ? undefined : { role, content };
  }

  #assistant(): Message | undefined {
    const content = this.#text();
    const stopReason = this.#skips(STOPPED) ? this.#stopReason() : undefined;
    const usage = this.#skips(USAGE) ? this.#usage() : undefined;
    if (content === undefined || stopReason === undefined || usage === undefined) return undefined;
    return { role: "assistant", content, toolCalls: [], stopReason, usage };
  }

  #stopReason(): StopReason | undefined {
    for (const { reason, bytes } of STOPS) if (this.#skips(bytes)) return reason;
    return undefined;
  }

  #usage(): Usage | undefined {
    let members = (this.#bytes[this.#at++] ?? 0) - 2;
    const inputTokens = this.#skips(INPUT) ? this.#count() : undefined;
    const outputTokens = this.#skips(OUTPUT) ? this.#count() : undefined;
    if (inputTokens === undefined || outputTokens === undefined) return undefined;
    const usage: Usage = { inputTokens, outputTokens };
    if (members > 0 && this.#skips(CREATION)) {
      members--;
      const count = this.#count();
      if (count === undefined) return undefined;
      usage.cacheCreationTokens = count;
    }
    if (members > 0 && this.#skips(READ)) {
      members--;
      const count = this.#count();
      if (count === undefined) return undefined;
      usage.cacheReadTokens = count;
    }
    return members === 0 ? usage : undefined;
  }

  /** @returns whether these bytes are the next ones, which are behind us then */
  #skips(wanted: Uint8Array): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    const { length } = wanted;
    for (let index = 0; index < length; index++) if (bytes[at + index] !== wanted[index]) return false;
    this.#at = at + length;
    return true;
  }

  /** A number of up to 32 bits. */
  #count(): number | undefined {
    const token = this.#bytes[this.#at++];
    if (token === undefined) return undefined;
    if (token < 0x80) return token;
    return token === 0xcc ? this.#uint(1) : token === 0xcd ? this.#uint(2) : token === 0xce ? this.#uint(4) : undefined;
  }

  #text(): string | undefined {
    const token = this.#bytes[this.#at++];
    if (token === undefined) return undefined;
    const isShort = token >= 0xa0 && token < 0xc0;
    const width = token === 0xd9 ? 1 : token === 0xda ? 2 : token === 0xdb ? 4 : 0;
    const length = isShort ? token & 31 : width > 0 ? this.#uint(width) : undefined;
    if (length === undefined) return undefined;
    const start = this.#at;
    const end = start + length;
    if (end > this.#bytes.length) return undefined;
    this.#at = end;
    if (this.#isSurvey) return length === 0 ? "" : SOME_TEXT;
    const text = this.#bytes.toString("utf8", start, end);
    return text.includes(REPLACEMENT) ? undefined : text;
  }

  #uint(width: number): number | undefined {
    const end = this.#at + width;
    if (end > this.#bytes.length) return undefined;
    let value = 0;
    while (this.#at < end) value = value * 256 + (this.#bytes[this.#at++] as number);
    return value;
  }
}
