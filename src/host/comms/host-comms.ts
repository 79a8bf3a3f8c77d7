/**
 * What a host does for messages between its sessions: gives names, answers what agents ask of their lines, and follows sessions as they
 * are built, wake, move and leave. Who may send what to whom, and when: peer-mail.ts.
 *
 *   C1. A session has its name from the moment it is asked for until it leaves; what waits for it or for others then ends (Q4).
 *   C2. What a session trusts beyond what it asked for at its creation holds as long as the host, in memory, also while the session sleeps
 *       or moves; of sessions that sleep the last CHOSEN_MAX lists are kept.
 *   C3. Sessions of different tenants are in different realms, whatever realms they name; so are those without a tenant. Whose a session is
 *       says its label, which is with it from its creation through sleep and moves.
 */
import type { CommsAsk, CommsFailure } from "../../protocol/comms.ts";
import { TRUSTED_MAX } from "../../protocol/comms.ts";
import type { CommsCallReport, CommsReplyCommand, CommsReport } from "../../protocol/frames.ts";
import { COMMANDS, REPORTS } from "../../protocol/frames.ts";
import type { PeerDescription } from "../../protocol/handles.ts";
import type { SessionId } from "../../protocol/ids.ts";
import { refuse } from "../../protocol/parse.ts";
import { isText } from "../../protocol/shapes.ts";
import { TENANT_LABEL } from "../../protocol/tenant.ts";
import type { HostEvents } from "../host-events.ts";
import type { SessionEntry } from "../session-entry.ts";
import { PeerDirectory } from "./peer-directory.ts";
import { PeerMail } from "./peer-mail.ts";
import type { Peer } from "./peer.ts";

/** Lists of sleeping sessions. */
const CHOSEN_MAX = 4096;

export interface HostCommsParts {
  readonly events: HostEvents;
  /** Whether the session has left one lane to be woken in another. */
  isOnItsWay(id: SessionId): boolean;
}

export class HostComms {
  readonly #parts: HostCommsParts;
  readonly #directory = new PeerDirectory();
  readonly #mail: PeerMail;
  /** By id: sessions between two lanes. */
  readonly #onTheirWay = new Map<SessionId, Peer>();
  /** By id: whom sleeping sessions trust, where that is not what they asked for. */
  readonly #chosen = new Map<SessionId, readonly string[]>();

  constructor(parts: HostCommsParts) {
    this.#parts = parts;
    this.#mail = new PeerMail({
      find: ({ realm }, name) => this.#directory.find(realm, name),
      deliver: ({ entry }, from, message) => {
        if (entry === undefined) return;
        entry.lane.link.send([COMMANDS.PEER_DELIVER.op, entry.slot, entry.generation, from, message], message.byteLength);
      },
      answer: ({ entry }, request, failure) => {
        if (entry !== undefined) answer(entry, request, null, failure);
      },
      now: () => performance.now(),
    });
  }

  // ── sessions come and go ──

  /**
   * A session is to be built that asks for a name. The caller gives its record to the peer, or releases it.
   *
   * @param labels - of the session
   * @throws SessionError INVALID_PARAMS when the name is taken
   */
  claim(ask: CommsAsk, labels: SessionEntry["labels"] | undefined): Peer {
    return this.#directory.claim(tenantsOwn(ask, labels)) ?? refuse("request.build.commsName", `another live session is named ${ask.name}`);
  }

  /** It is in a lane, which is going to build it. */
  building(peer: Peer, entry: SessionEntry): void {
    peer.entry = entry;
    entry.comms = peer;
  }

  /** It will not be built. */
  release(peer: Peer): void {
    this.#close(peer);
  }

  /** A stored session has been built and is about to be live. If its name is taken meanwhile it has no line. */
  woke(entry: SessionEntry, ask: CommsAsk): void {
    const chosen = this.#chosen.get(entry.id);
    const peer = this.#onTheirWay.get(entry.id) ?? this.#directory.claim(tenantsOwn(ask, entry.labels), chosen);
    this.#onTheirWay.delete(entry.id);
    if (peer === undefined) {
      const { name, realm } = ask;
      this.#parts.events.emit("comms_name_taken", { sessionId: entry.id, lane: entry.lane.number, details: { name, realm } });
      seat(entry, "none");
      return;
    }
    this.#chosen.delete(entry.id);
    if (chosen !== undefined) peer.hasChosen = true;
    this.#settle(peer, entry);
  }

  /** The session has been built in another lane, and is about to be live there. */
  movedIn(from: SessionEntry, to: SessionEntry): void {
    const peer = from.comms;
    from.comms = undefined;
    if (peer !== undefined) this.#settle(peer, to);
  }

  #settle(peer: Peer, entry: SessionEntry): void {
    peer.entry = entry;
    peer.isHeld = false;
    entry.comms = peer;
    if (peer.hasChosen) seat(entry, [...peer.trusted]);
  }

  /** The session is live, here or again: what waits for it goes on. */
  live({ comms }: SessionEntry): void {
    if (comms !== undefined) this.#mail.pump(comms);
  }

  /** The session is on its way out of its lane. One that goes to sleep may stay, or wake elsewhere. */
  leaving(entry: SessionEntry): void {
    if (entry.comms === undefined || entry.state !== "leaving") return;
    seat(entry, "closed");
    this.#left(entry.comms, entry);
  }

  /** The session has left its lane. */
  gone(entry: SessionEntry): void {
    const peer = entry.comms;
    if (peer === undefined || peer.isClosed) return;
    peer.entry = undefined;
    if (this.#parts.isOnItsWay(entry.id)) {
      this.#onTheirWay.set(entry.id, peer);
      return;
    }
    this.#left(peer, entry);
  }

  #left(peer: Peer, entry: SessionEntry): void {
    if (peer.hasChosen && entry.kept !== undefined) this.#keepChosen(entry.id, peer);
    this.#close(peer);
  }

  /** The session sleeps after all. */
  arrivedNowhere(id: SessionId): void {
    const peer = this.#onTheirWay.get(id);
    if (peer === undefined) return;
    this.#onTheirWay.delete(id);
    if (peer.hasChosen) this.#keepChosen(id, peer);
    this.#close(peer);
  }

  /** C2 */
  #keepChosen(id: SessionId, { trusted }: Peer): void {
    this.#chosen.set(id, [...trusted]);
    if (this.#chosen.size > CHOSEN_MAX) this.#chosen.delete(this.#chosen.keys().next().value as SessionId);
  }

  #close(peer: Peer): void {
    if (this.#directory.release(peer)) this.#mail.drop(peer);
  }

  /** Live sessions that have a name. */
  *sessions(): Generator<SessionEntry> {
    for (const { entry } of this.#directory) if (entry !== undefined) yield entry;
  }

  /** Nothing goes between sessions any more: whoever waits is told. */
  close(): void {
    for (const peer of this.#directory) {
      if (peer.entry !== undefined) seat(peer.entry, "closed");
      this.#close(peer);
    }
  }

  // ── what agents ask ──

  /** @throws Error when the lane says what it may not */
  take(entry: SessionEntry, report: CommsReport): void {
    const peer = entry.comms;
    switch (report[0]) {
      case REPORTS.COMMS_CALL.op:
        if (peer === undefined) answer(entry, report[3], null, ["comms_unsupported", "the session has no line to its peers"]);
        else this.#call(peer, entry, report);
        return;
      case REPORTS.PEER_TAKEN.op:
        if (peer !== undefined && !peer.isClosed) this.#mail.taken(peer, report[3], report[4]);
        return;
      case REPORTS.COMMS_HELD.op:
        if (peer !== undefined) peer.isHeld = report[3];
        return;
      default:
        report satisfies never;
    }
  }

  #call(peer: Peer, entry: SessionEntry, [, , , request, verb, name, message]: CommsCallReport): void {
    if (peer.isClosed || entry.state !== "live") {
      if (verb !== "withdraw") answer(entry, request, null, ["comms_input_closed", "the session leaves"]);
      return;
    }
    switch (verb) {
      case "send":
        if (!isText(name) || !(message instanceof Uint8Array)) throw new Error("a send needs a name and a message");
        this.#mail.send(peer, request, name, message);
        return;
      case "withdraw":
        this.#mail.withdraw(peer, request);
        return;
      case "trust":
        if (!isText(name)) throw new Error("a name must be text");
        this.#trust(peer, entry, request, name);
        return;
      case "distrust":
        peer.hasChosen ||= peer.trusted.has(name as string);
        answer(entry, request, peer.trusted.delete(name as string));
        this.#mail.pump(peer);
        return;
      case "peers":
        answer(entry, request, this.#peersOf(peer));
        return;
      default:
        throw new Error(`no such verb: ${String(verb satisfies never)}`);
    }
  }

  #trust(peer: Peer, entry: SessionEntry, request: number, name: string): void {
    if (peer.trusted.size >= TRUSTED_MAX && !peer.trusted.has(name)) {
      answer(entry, request, null, ["comms_validation", `a session trusts at most ${TRUSTED_MAX} peers`]);
      return;
    }
    peer.hasChosen ||= !peer.trusted.has(name);
    peer.trusted.add(name);
    answer(entry, request, null);
  }

  /** Those it trusts and that are live. */
  #peersOf({ realm, trusted }: Peer): PeerDescription[] {
    const described: PeerDescription[] = [];
    for (const name of trusted) {
      const peer = this.#directory.find(realm, name);
      if (peer === undefined) continue;
      const { description, labels } = peer;
      described.push({ name, ...(description !== undefined && { description }), ...(labels !== undefined && { labels: { ...labels } }) });
    }
    return described;
  }
}

/** C3. With the length ahead no tenant's name and realm together read as another's. */
function tenantsOwn(ask: CommsAsk, labels: SessionEntry["labels"] | undefined): CommsAsk {
  const tenant = labels?.[TENANT_LABEL];
  return { ...ask, realm: tenant === undefined ? `:${ask.realm}` : `${tenant.length}:${tenant}${ask.realm}` };
}

function answer({ lane, slot, generation }: SessionEntry, request: number, value: unknown, failure?: CommsFailure): void {
  const reply: CommsReplyCommand = [COMMANDS.COMMS_REPLY.op, slot, generation, request, value];
  if (failure !== undefined) reply.push(failure);
  lane.link.send(reply);
}

function seat({ lane, slot, generation }: SessionEntry, what: "none" | "closed" | readonly string[]): void {
  if (!lane.hasEnded) lane.link.send([COMMANDS.COMMS_SEAT.op, slot, generation, what]);
}
