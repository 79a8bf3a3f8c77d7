/**
 * What has come in for a session and its agent has not taken: messages of peers and what was injected, in one order, the one of their
 * arrival.
 *
 *   I1. Messages of peers are as many as main lets in, and main is told what was taken of them: in lots, and always when none is left.
 *       Of what is injected INJECTED_MAX wait; the next is refused.
 *   I2. Whoever waits first gets the next one. Each is given once.
 *   I3. When the inbox is closed nothing comes in or goes out any more, and nobody waits.
 */
import { Mailbox } from "../../core/mailbox.ts";
import type { Interaction } from "../../protocol/comms.ts";
import { INBOX_BYTES_MAX } from "../../protocol/comms.ts";
import type { InjectOutcome } from "../../protocol/handles.ts";

/** Injected bodies that wait. */
export const INJECTED_MAX = 1024;
/** Calls that wait for an interaction. */
export const RECEIVING_MAX = 64;
/** Messages, and bytes of them, that may be taken before main is told. */
const LOT = 64;
const LOT_BYTES = INBOX_BYTES_MAX / 16;

interface Item {
  readonly interaction: Interaction;
  /** Of a peer's message as it crossed; undefined: it was injected. */
  readonly bytes: number | undefined;
}

/** A call that waits for the next interaction. */
export interface Receiving {
  readonly next: Promise<Interaction>;
  /** Wait no longer: `next` rejects. Later than its settling it does nothing. */
  readonly stop: (reason: unknown) => void;
}

interface Receiver {
  /** Whose call it is: an agent's, and of it a turn's. */
  readonly owner: object;
  readonly group: object;
  readonly resolve: (interaction: Interaction) => void;
  readonly reject: (reason: unknown) => void;
}

export interface InboxOwner {
  /** The agent took `count` messages of peers, of `bytes` in all. */
  taken(count: number, bytes: number): void;
  /** Whether something in it, or somebody who waits at it, is known to nobody else. */
  held(isHeld: boolean): void;
}

export class Inbox {
  readonly #owner: InboxOwner;
  readonly #items = new Mailbox<Item>(Infinity); // I1
  readonly #receivers = new Set<Receiver>();
  #injected = 0;
  #taken = 0;
  #takenBytes = 0;
  #wasHeld = false;
  #closed: unknown;

  constructor(owner: InboxOwner) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#items.size;
  }

  get receiving(): number {
    return this.#receivers.size;
  }

  /** A peer's message of that size, which main has let in. */
  deliver(interaction: Interaction, bytes: number): void {
    this.#put({ interaction, bytes });
  }

  /** A peer's message that is none: its room is free again. */
  discard(bytes: number): void {
    this.#count(bytes);
    this.#tell();
  }

  inject(interaction: Interaction): InjectOutcome {
    if (this.#closed !== undefined) return "closed";
    if (this.#injected >= INJECTED_MAX) return "full";
    this.#injected++;
    this.#put({ interaction, bytes: undefined });
    return "ok";
  }

  #put(item: Item): void {
    if (this.#closed !== undefined) return;
    const receiver = this.#receivers.values().next().value;
    if (receiver === undefined) this.#items.push(item);
    else {
      this.#receivers.delete(receiver);
      this.#count(item.bytes);
      receiver.resolve(item.interaction);
    }
    this.#tell();
  }

  /** Everything that waits. */
  takeAll(): Interaction[] {
    const items = this.#items.drain();
    for (const { bytes } of items) this.#count(bytes);
    this.#tell();
    return items.map(({ interaction }) => interaction);
  }

  /** Whose call it is: `stop(owner)` ends it, and so does `stop(group)`. */
  receive(owner: object, group: object = owner): Receiving {
    let stop = (_reason: unknown): void => {};
    const next = new Promise<Interaction>((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed as Error);
        return;
      }
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#count(item.bytes);
        resolve(item.interaction);
      } else {
        const receiver = { owner, group, resolve, reject };
        this.#receivers.add(receiver);
        stop = (reason) => this.#stop(receiver, reason);
      }
      this.#tell();
    });
    return { next, stop };
  }

  /** Those calls wait no longer. @param whose - an owner or a group */
  stop(whose: object, reason: unknown): void {
    for (const receiver of this.#receivers) if (receiver.owner === whose || receiver.group === whose) this.#stop(receiver, reason);
  }

  #stop(receiver: Receiver, reason: unknown): void {
    if (!this.#receivers.delete(receiver)) return;
    receiver.reject(reason);
    this.#tell();
  }

  /** I3. @param reason - what whoever waits is told. @returns what waited, which nobody will take */
  close(reason: unknown): Interaction[] {
    if (this.#closed !== undefined) return [];
    this.#closed = reason;
    for (const receiver of this.#receivers) this.#stop(receiver, reason);
    return this.#items.drain().map(({ interaction }) => interaction);
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** What waits, oldest first; it stays. */
  *[Symbol.iterator](): Generator<Interaction> {
    for (const { interaction } of this.#items) yield interaction;
  }

  #count(bytes: number | undefined): void {
    if (bytes === undefined) this.#injected--;
    else {
      this.#taken++;
      this.#takenBytes += bytes;
    }
  }

  /** I1 */
  #tell(): void {
    if (this.#closed !== undefined) return;
    if (this.#taken > 0 && (this.#items.size === 0 || this.#taken >= LOT || this.#takenBytes >= LOT_BYTES)) {
      this.#owner.taken(this.#taken, this.#takenBytes);
      this.#taken = 0;
      this.#takenBytes = 0;
    }
    const isHeld = this.#injected > 0 || this.#receivers.size > 0;
    if (isHeld === this.#wasHeld) return;
    this.#wasHeld = isHeld;
    this.#owner.held(isHeld);
  }
}
