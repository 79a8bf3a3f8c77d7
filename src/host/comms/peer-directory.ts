/**
 * Which session has which name.
 *
 *   D1. Of one realm, one name is one session's at a time: from the moment it is asked for, before anything is built, until the session
 *       leaves for good. A session on its way from lane to lane keeps it.
 */
import type { CommsAsk } from "../../protocol/comms.ts";
import { Peer } from "./peer.ts";

export class PeerDirectory {
  readonly #byName = new Map<string, Peer>();

  get size(): number {
    return this.#byName.size;
  }

  /** @param trusted - instead of whom it asks to trust. @returns undefined when the name is taken */
  claim(ask: CommsAsk, trusted?: Iterable<string>): Peer | undefined {
    const key = keyOf(ask.realm, ask.name);
    if (this.#byName.has(key)) return undefined;
    const peer = new Peer(ask, trusted);
    this.#byName.set(key, peer);
    return peer;
  }

  /** The name is free again. @returns false when it had been already */
  release(peer: Peer): boolean {
    if (peer.isClosed) return false;
    peer.isClosed = true;
    return this.#byName.delete(keyOf(peer.realm, peer.name));
  }

  /** @returns the peer of that name which is there */
  find(realm: string, name: string): Peer | undefined {
    const peer = this.#byName.get(keyOf(realm, name));
    return peer?.isThere === true ? peer : undefined;
  }

  [Symbol.iterator](): Iterator<Peer> {
    return this.#byName.values();
  }
}

/** A realm may hold any character. */
function keyOf(realm: string, name: string): string {
  return `${realm.length}:${realm}${name}`;
}
