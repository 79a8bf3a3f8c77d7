/**
 * Messages between sessions, on main: which may go, which wait, and when the waiting ends. Main carries bytes it does not read.
 *
 *   Q1. Messages of one sender to one recipient arrive in the order they were sent, each once.
 *   Q2. Of a session's messages at most INBOX_MAX and INBOX_BYTES_MAX are unread; the next waits here until its agent takes some. Messages
 *       for a session on its way to another lane wait for its arrival.
 *   Q3. At most WAITING_MAX messages and WAITING_BYTES_MAX bytes wait for one recipient, at most SENDING_MAX messages of one sender; the
 *       next is refused at once.
 *   Q4. Every send is answered once: it was accepted, or it was refused, or its wait is over: its recipient left, its sender left or
 *       withdrew it (nobody is there to be answered then), SEND_WAIT_MAX_MS have passed, or the host closes.
 */
import type { CommsErrorKind } from "../../protocol/comms-errors.ts";
import type { CommsFailure } from "../../protocol/comms.ts";
import { MESSAGE_BYTES_MAX, SENDING_MAX } from "../../protocol/comms.ts";
import type { Peer, WaitingSend } from "./peer.ts";

/** Milliseconds a message waits for room at most. */
export const SEND_WAIT_MAX_MS = 30_000;
/** Messages that wait for one recipient. */
export const WAITING_MAX = 4096;
/** Bytes of them. */
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;

export interface PeerMailParts {
  /** @returns the session of that name which `from` may know of */
  find(from: Peer, name: string): Peer | undefined;
  /** Put a message into the inbox of a live session. */
  deliver(to: Peer, from: string, message: Uint8Array): void;
  /** Tell a sender what became of a message; `failure` undefined: it was accepted. */
  answer(sender: Peer, request: number, failure?: CommsFailure): void;
  /** Milliseconds of a clock that only goes on. */
  now(): number;
}

export class PeerMail {
  readonly #parts: PeerMailParts;
  /** Messages that wait, of all recipients. */
  waiting = 0;

  constructor(parts: PeerMailParts) {
    this.#parts = parts;
  }

  send(from: Peer, request: number, name: string, message: Uint8Array): void {
    const to = this.#parts.find(from, name);
    const failure = refusal(from, name, to, message.byteLength);
    if (failure !== undefined || to === undefined) this.#parts.answer(from, request, failure);
    else if (to.waiting.size === 0 && to.hasRoom(message.byteLength)) this.#accept(from, to, request, message);
    else this.#wait({ from, to, request, message, deadlineMs: this.#parts.now() + SEND_WAIT_MAX_MS });
  }

  #accept(from: Peer, to: Peer, request: number, message: Uint8Array): void {
    to.unread++;
    to.unreadBytes += message.byteLength;
    this.#parts.deliver(to, from.name, message);
    this.#parts.answer(from, request);
  }

  #wait(send: WaitingSend): void {
    const { from, to, request, message } = send;
    to.waiting.add(send);
    to.waitingBytes += message.byteLength;
    from.sending.set(request, send);
    this.waiting++;
    to.timer ??= this.#timerOf(to, SEND_WAIT_MAX_MS);
  }

  /** Its agent took messages out of its inbox. @throws Error when there were not so many: a bug of the lane's */
  taken(to: Peer, count: number, bytes: number): void {
    if (!(count >= 0 && count <= to.unread && bytes >= 0 && bytes <= to.unreadBytes))
      throw new Error(`took ${count} of ${to.unread} messages`);
    to.unread -= count;
    to.unreadBytes -= bytes;
    this.pump(to);
  }

  /** Let in what waits and has room now. A sender that is trusted no more is told so. */
  pump(to: Peer): void {
    for (const send of to.waiting) {
      if (!to.trusted.has(send.from.name)) this.#refuse(send, "comms_peer_not_sendable");
      else if (to.hasRoom(send.message.byteLength)) {
        this.#forget(send);
        this.#accept(send.from, to, send.request, send.message);
      } else return;
    }
  }

  /** The sender does not want it sent any more, if it still waits. */
  withdraw(from: Peer, request: number): void {
    const send = from.sending.get(request);
    if (send === undefined) return;
    this.#forget(send);
    this.pump(send.to); // what stood behind it may have room
  }

  /** The session has left for good: what it sends is dropped, what is sent to it is refused. */
  drop(peer: Peer): void {
    for (const send of peer.sending.values()) this.#forget(send);
    for (const send of peer.waiting) this.#refuse(send, "comms_peer_offline");
    peer.unread = 0;
    peer.unreadBytes = 0;
  }

  #refuse(send: WaitingSend, kind: CommsErrorKind): void {
    this.#forget(send);
    this.#parts.answer(send.from, send.request, failureOf(kind, send.to.name));
  }

  #forget(send: WaitingSend): void {
    const { from, to, request, message } = send;
    if (!to.waiting.delete(send)) return;
    from.sending.delete(request);
    to.waitingBytes -= message.byteLength;
    this.waiting--;
    if (to.waiting.size > 0) return;
    clearTimeout(to.timer);
    to.timer = undefined;
  }

  /** One timer a recipient: those that wait came in the order of their deadlines. */
  #timerOf(to: Peer, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#expire(to), ms);
  }

  #expire(to: Peer): void {
    const nowMs = this.#parts.now();
    to.timer = undefined;
    for (const send of to.waiting) {
      if (send.deadlineMs > nowMs) {
        to.timer = this.#timerOf(to, send.deadlineMs - nowMs);
        return;
      }
      this.#refuse(send, "comms_input_full");
    }
  }
}

/** @returns why the message cannot even wait */
function refusal(from: Peer, name: string, to: Peer | undefined, bytes: number): CommsFailure | undefined {
  if (!from.trusted.has(name)) return failureOf("comms_peer_not_found", name);
  if (to === undefined) return failureOf("comms_peer_offline", name);
  if (!to.trusted.has(from.name)) return failureOf("comms_peer_not_sendable", name);
  if (bytes > MESSAGE_BYTES_MAX) return ["comms_validation", `a message is at most ${MESSAGE_BYTES_MAX} bytes, not ${bytes}`];
  const isFull = to.waiting.size >= WAITING_MAX || to.waitingBytes + bytes > WAITING_BYTES_MAX || from.sending.size >= SENDING_MAX;
  return isFull ? failureOf("comms_input_full", name) : undefined;
}

const MESSAGES: Partial<Record<CommsErrorKind, (name: string) => string>> = {
  comms_peer_not_found: (name) => `${name} is not a trusted peer`,
  comms_peer_offline: (name) => `peer ${name} is not live`,
  comms_peer_not_sendable: (name) => `peer ${name} does not trust this session`,
  comms_input_full: (name) => `the inbox of peer ${name} is full`,
};

function failureOf(kind: CommsErrorKind, name: string): CommsFailure {
  return [kind, MESSAGES[kind]?.(name) ?? kind];
}
