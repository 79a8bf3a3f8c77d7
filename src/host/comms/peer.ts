/** A session as its peers know it: its name, whom it trusts, and the messages on their way to it and from it. */
import type { CommsAsk } from "../../protocol/comms.ts";
import { INBOX_BYTES_MAX, INBOX_MAX } from "../../protocol/comms.ts";
import type { SessionEntry } from "../session-entry.ts";

/** A message that waits for room in the inbox of its recipient. */
export interface WaitingSend {
  readonly from: Peer;
  readonly to: Peer;
  /** Number of the sender's call. */
  readonly request: number;
  readonly message: Uint8Array;
  readonly deadlineMs: number;
}

export class Peer {
  readonly name: string;
  /** Its tenant's own. */
  readonly realm: string;
  readonly description: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly trusted: Set<string>;
  /** Whom it trusts is not what it asked for when it was created. */
  hasChosen = false;
  /** The session where it is now; undefined: it has left one lane and is not built in another yet. */
  entry: SessionEntry | undefined;
  isClosed = false;
  /** Its lane says that it is to stay where it is. */
  isHeld = false;
  /** In its inbox, or on their way there. */
  unread = 0;
  unreadBytes = 0;
  /** Oldest first. */
  readonly waiting = new Set<WaitingSend>();
  waitingBytes = 0;
  timer: NodeJS.Timeout | undefined;
  /** What it sends and what waits, by the number of its call. */
  readonly sending = new Map<number, WaitingSend>();

  constructor(ask: CommsAsk, trusted: Iterable<string> = ask.trusted) {
    this.name = ask.name;
    this.realm = ask.realm;
    this.description = ask.description;
    this.labels = ask.labels;
    this.trusted = new Set(trusted);
  }

  /** Whether messages may be meant for it: it is live, or on its way from lane to lane. */
  get isThere(): boolean {
    return !this.isClosed && this.entry?.state !== "building";
  }

  /** Whether its inbox takes a message of that size now. */
  hasRoom(bytes: number): boolean {
    return this.entry?.state === "live" && this.unread < INBOX_MAX && this.unreadBytes + bytes <= INBOX_BYTES_MAX;
  }

  /** What is in its inbox, or what it waits for, would be lost if it left its lane. */
  get isBusy(): boolean {
    return this.isHeld || this.unread > 0 || this.sending.size > 0;
  }
}
