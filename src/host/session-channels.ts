/**
 * Event channels of sessions that are not live: their subscribers belong to the id, and hear the session again when it wakes.
 *
 *   C1. A channel is kept here only while somebody is subscribed to it.
 */
import type { SessionId } from "../protocol/ids.ts";
import { overloaded } from "./overloaded.ts";
import { SessionChannel } from "./session-channel.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** Sessions that are not live and may get a first subscriber. */
export const ASLEEP_MAX = 65_536;

export class SessionChannels {
  readonly #asleep = new Map<SessionId, SessionChannel>();

  /** The channel of a session that is not live, made now if it has none. @throws SessionError HOST_OVERLOADED subscribers */
  of(id: SessionId): SessionChannel {
    const known = this.#asleep.get(id);
    if (known !== undefined) return known;
    if (this.#asleep.size >= ASLEEP_MAX) {
      throw overloaded("subscribers", `${ASLEEP_MAX} sessions that are not live have subscribers`, ASLEEP_MAX);
    }
    const channel = new SessionChannel(id);
    this.#keep(id, channel);
    return channel;
  }

  /** Number of the last event that anybody here has heard of the session; 0: none. */
  lastSeq(id: SessionId): number {
    return this.#asleep.get(id)?.lastSeq ?? 0;
  }

  /** Readers of sessions that are not live. */
  get subscribers(): number {
    let count = 0;
    for (const channel of this.#asleep.values()) count += channel.subscribers;
    return count;
  }

  /** The session is live. @param hasCursors - its events can be resumed */
  attach(entry: SessionEntry, registry: SessionRegistry, hasCursors: boolean): void {
    const channel = this.#asleep.get(entry.id);
    this.#asleep.delete(entry.id);
    if (channel !== undefined) registry.adoptChannel(entry, channel);
    if (hasCursors && entry.kept !== undefined) registry.channelOf(entry).epoch = entry.kept.epoch;
  }

  /** The session is no longer live, and may be again. */
  detach({ id, channel }: SessionEntry): void {
    if (channel !== undefined && channel.subscribers > 0) this.#keep(id, channel);
  }

  #keep(id: SessionId, channel: SessionChannel): void {
    channel.onCount((count) => {
      if (count === 0 && this.#asleep.get(id) === channel) this.#asleep.delete(id);
    });
    this.#asleep.set(id, channel); // only now: a new one has no subscriber yet
  }

  /** The session is archived, or never was: its streams end. */
  end(id: SessionId): void {
    this.#asleep.get(id)?.close();
    this.#asleep.delete(id);
  }

  /** The host closes. */
  close(): void {
    for (const channel of this.#asleep.values()) channel.close();
    this.#asleep.clear();
  }
}
