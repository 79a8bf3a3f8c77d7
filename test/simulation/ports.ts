/**
 * Ports between simulated processes, in the place of MessagePorts below the real `PortTransport`: messages in order, delivered when
 * somebody listens, also after their sender died; then the close, once.
 */
import type { MessagePort } from "node:worker_threads";

import type { Channel, Process } from "./process.ts";
import type { World } from "./world.ts";

/** How long a message is on its way. */
export type Delay = () => number;
/** Sees every frame where it arrives, and says what arrives in its place. */
export type Wiretap = (frame: Uint8Array) => readonly Uint8Array[];

export class SimulatedPort {
  peer!: SimulatedPort;
  owner: Process;
  wiretap: Wiretap | undefined;
  /** Told of every message that is delivered here. */
  onArrival: (() => void) | undefined;
  readonly #world: World;
  readonly #delay: Delay;
  readonly #incoming: Channel;
  readonly #onMessage: ((message: unknown) => void)[] = [];
  readonly #onClose: (() => void)[] = [];
  #isClosed = false;

  constructor(world: World, owner: Process, delay: Delay) {
    this.#world = world;
    this.owner = owner;
    this.#delay = delay;
    this.#incoming = owner.channel(world, false);
  }

  /** As what it stands for: nothing but these methods is asked of it. */
  get asPort(): MessagePort {
    return this as unknown as MessagePort;
  }

  /** Hand the port over to another process, as a transfer does: before anybody listens to it. */
  moveTo(owner: Process): void {
    this.owner = owner;
    this.#incoming.moveTo(owner);
    if (!owner.isAlive) this.died();
  }

  postMessage(message: unknown): void {
    if (this.#isClosed || !this.owner.sends()) return;
    const { peer } = this;
    const delayMs = this.#delay();
    const given = message instanceof Uint8Array ? (peer.wiretap?.(message) ?? [message]) : [message];
    for (const one of given) peer.#arrive(() => peer.#deliver(one), delayMs);
  }

  #deliver(message: unknown): void {
    this.onArrival?.();
    for (const listener of this.#onMessage) listener(message);
  }

  on(event: "message", listener: (message: unknown) => void): this {
    if (event !== "message") throw new Error(`a simulated port knows no event ${String(event)}`);
    this.#onMessage.push(listener);
    this.#incoming.isOpen = true;
    return this;
  }

  once(event: "close", listener: () => void): this {
    if (event !== "close") throw new Error(`a simulated port tells no ${String(event)} once`);
    this.#onClose.push(listener);
    return this;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#incoming.clear();
    this.#incoming.isOpen = true;
    this.#incoming.post(() => this.#notifyClosed());
    this.peer.#arrive(() => this.peer.#peerClosed(), this.#delay());
  }

  /** Its process is gone: what it sent still arrives. */
  died(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.peer.#arrive(() => this.peer.#peerClosed(), this.#delay());
  }

  #arrive(run: () => void, delayMs: number): void {
    if (!this.#isClosed && this.owner.isAlive) this.#incoming.post(run, delayMs);
  }

  #peerClosed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#notifyClosed();
  }

  #notifyClosed(): void {
    this.#world.trace("port closed");
    for (const listener of this.#onClose.splice(0)) listener();
  }
}

/** @returns the two ends of a port, each of a process */
export function portPair(world: World, first: Process, second: Process, delay: Delay): [SimulatedPort, SimulatedPort] {
  const ends: [SimulatedPort, SimulatedPort] = [new SimulatedPort(world, first, delay), new SimulatedPort(world, second, delay)];
  ends[0].peer = ends[1];
  ends[1].peer = ends[0];
  return ends;
}
