/**
 * What the store has of a session's transcript, and what has to be written so that it has the rest.
 *
 *   Z1. A transcript that only grew is written by what it grew; anything else is written whole.
 */
import { isDeepStrictEqual } from "node:util";

import type * as z from "zod";

import type { SessionAgent } from "../protocol/agent.ts";
import type { JsonValue } from "../protocol/json.ts";
import { list } from "../protocol/list.ts";
import type { Message, SessionSnapshot } from "../protocol/session-model.ts";
import { Message as MessageSchema, Session } from "../protocol/session-model.ts";
import { ordinaryMessages } from "../protocol/shortcuts.ts";
import { apart, metadataOf } from "../protocol/stored-session.ts";
import { AgentError } from "./agent-errors.ts";

/** What has to be known of a log: an array, or a StoredLog. */
export interface KeptLog {
  readonly length: number;
  at(index: -1): Message | undefined;
}
/** A transcript as the store keeps it: the leading system message apart. */
export interface KeptTranscript {
  readonly system: string | undefined;
  readonly log: KeptLog;
}
/** The messages to write, and whether they are all of the log. */
export interface TranscriptChange {
  readonly messages: readonly Message[];
  readonly isWhole: boolean;
  readonly system: string | undefined;
  /** Undefined: unchanged. */
  readonly metadata?: Readonly<Record<string, JsonValue>> | undefined;
}

const Messages = list(MessageSchema);

export class SavedTranscript {
  #logLength: number;
  #system: string | undefined;
  #revision: number | undefined;
  /** The last message in the log. */
  #last: Message | undefined;

  constructor({ system, log }: KeptTranscript, revision: number | undefined) {
    this.#logLength = log.length;
    this.#system = system;
    this.#revision = revision;
    this.#last = log.at(-1);
  }

  get messageCount(): number {
    return this.#logLength + (this.#system === undefined ? 0 : 1);
  }

  /**
   * What to write for the agent's transcript as it is at its boundary.
   *
   * @throws AgentError when what the agent gives is no transcript, or not the one its snapshot speaks of
   */
  changeOf(agent: SessionAgent, snapshot: SessionSnapshot): TranscriptChange {
    // Of a transcript that was changed otherwise than by growing everything is new, its metadata too.
    if (agent.messagesFrom === undefined || snapshot.revision !== this.#revision) return this.changeTo(cloneOf(agent), snapshot.revision);
    const saved = this.messageCount;
    const count = snapshot.messageCount;
    if (count >= saved && saved > 0) {
      const messages = checked(agent.messagesFrom(saved));
      // What has come since the snapshot is for the next save.
      if (messages.length >= count - saved) return { messages: messages.slice(0, count - saved), isWhole: false, system: this.#system };
    }
    const all = checked(agent.messagesFrom(0));
    if (all.length < count) {
      throw new AgentError("internal_error", `messagesFrom(0) gives ${all.length} messages, the agent's snapshot says ${count}`);
    }
    const { system, log } = apart(all.slice(0, count));
    return { messages: log, isWhole: saved > 0, system };
  }

  /** What to write for a whole session. @param revision - of its transcript */
  changeTo(session: Session, revision: number | undefined): TranscriptChange {
    const { system, log } = apart(session.messages);
    const saved = this.#logLength;
    const isLonger = log.length >= saved && revision === this.#revision && (saved === 0 || isDeepStrictEqual(log[saved - 1], this.#last));
    return { messages: isLonger ? log.slice(saved) : log, isWhole: !isLonger, system, metadata: metadataOf(session) };
  }

  /** Another agent has the transcript: what it calls a revision says nothing of what is saved, so all of it is written next. */
  agentRenewed(): void {
    this.#revision = Number.NaN; // equal to none
  }

  /** The change is in the store. */
  saved({ messages, isWhole, system }: TranscriptChange, revision: number | undefined): void {
    this.#logLength = (isWhole ? 0 : this.#logLength) + messages.length;
    this.#system = system;
    this.#revision = revision;
    this.#last = messages.at(-1) ?? (isWhole ? undefined : this.#last);
  }
}

/** @throws AgentError when the agent's clone is no session */
export function cloneOf(agent: SessionAgent): Session {
  const parsed = Session.safeParse(agent.sessionClone());
  if (parsed.success) return parsed.data;
  throw new AgentError("internal_error", `the agent's sessionClone() is not a session: ${describe(parsed.error)}`);
}

function checked(messages: unknown): Message[] {
  const ordinary = ordinaryMessages(messages);
  if (ordinary !== undefined) return ordinary;
  const parsed = Messages.safeParse(messages);
  if (parsed.success) return parsed.data;
  throw new AgentError("internal_error", `the agent's messagesFrom() does not give messages: ${describe(parsed.error)}`);
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  return `${issue?.path.map(String).join(".") || "it"}: ${issue?.message ?? "invalid"}`;
}
