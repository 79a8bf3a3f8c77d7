/**
 * The session index: which sessions there are, where, and what is left of those that were archived.
 *
 * Owns slots and capacity of every session from the first command to the lane's word that it forgot the session. Life of a session:
 * SESSION_TRANSITIONS (S1–S3).
 */
import type { Permit } from "../core/admission.ts";
import { Capacity } from "../core/admission.ts";
import { SlotAllocator } from "../core/slot-allocator.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { SortedIds } from "../core/sorted-ids.ts";
import { lockHolder, unlock } from "../core/turn-lock.ts";
import type { ForgetCommand } from "../protocol/frames.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { SessionView } from "../protocol/views.ts";
import { ArchivedViews } from "./archived-views.ts";
import type { HostLane } from "./host-lane.ts";
import { LostSessions } from "./lost-sessions.ts";
import { SessionChannel } from "./session-channel.ts";
import { SessionEntry } from "./session-entry.ts";
import { viewOf } from "./session-views.ts";

export class SessionRegistry {
  readonly capacity: Capacity;
  readonly archived: ArchivedViews;
  readonly lost = new LostSessions();
  readonly slots: SlotAllocator;
  /** Told of each session that is put into the index. */
  onRegistered: ((entry: SessionEntry) => void) | undefined;
  readonly #table: SlotTable;
  readonly #onLeaving: (entry: SessionEntry) => void;
  readonly #onGone: (entry: SessionEntry) => void;
  readonly #bySlot: (SessionEntry | undefined)[] = [];
  readonly #byId = new Map<SessionId, SessionEntry>();
  /** Made when first asked for: a host that keeps its sessions lists them from its store. */
  #inOrder: SortedIds<SessionEntry> | undefined;
  /** Out of the index, and not yet forgotten by their lanes. */
  readonly #leaving = new Set<SessionEntry>();

  /**
   * @param onSegment - hands a new segment to every lane
   * @param onLeaving - a session is on its way out of its lane
   * @param onGone - a session has left its lane, in whatever way
   */
  constructor(
    table: SlotTable,
    limits: { maxSessions: number; archivedViewsMax: number },
    onSegment: (segment: SharedArrayBuffer) => void,
    onLeaving: (entry: SessionEntry) => void,
    onGone: (entry: SessionEntry) => void,
  ) {
    this.#table = table;
    this.#onLeaving = onLeaving;
    this.#onGone = onGone;
    this.capacity = new Capacity(limits.maxSessions);
    this.archived = new ArchivedViews(limits.archivedViewsMax);
    this.slots = new SlotAllocator(table, onSegment);
  }

  /** Live sessions. */
  get liveCount(): number {
    return this.#byId.size;
  }

  find(id: SessionId): SessionEntry | undefined {
    return this.#byId.get(id);
  }

  /** Live sessions, in any order. */
  get live(): Iterable<SessionEntry> {
    return this.#byId.values();
  }

  /** Live sessions in order of id. */
  list(after?: SessionId): Iterable<SessionEntry> {
    return (this.#inOrder ??= SortedIds.of(this.#byId.values())).iterate(after);
  }

  /** The session a lane's record speaks of, unless the slot has another owner by now. */
  at(slot: number, generation: number): SessionEntry | undefined {
    const entry = this.#bySlot[slot];
    return entry?.generation === generation ? entry : undefined;
  }

  /** The session in a slot, if it is that lane's. */
  inSlot(lane: HostLane, slot: number): SessionEntry | undefined {
    const entry = this.#bySlot[slot];
    return entry?.lane === lane ? entry : undefined;
  }

  /** Every session that has a slot, whatever its state. */
  *all(): Generator<SessionEntry> {
    for (const entry of this.#bySlot) if (entry !== undefined) yield entry;
  }

  /** Sessions that were taken out of the index and still run what they had. */
  get leaving(): Iterable<SessionEntry> {
    return this.#leaving;
  }

  isLeaving(id: SessionId): boolean {
    for (const entry of this.#leaving) if (entry.id === id) return true;
    return false;
  }

  /** Every session of a lane, whatever its state. */
  *inLane(lane: HostLane): Generator<SessionEntry> {
    for (const entry of this.all()) if (entry.lane === lane) yield entry;
  }

  /** The session's channel, made now if it has none. Subscribers are counted in shared memory, where the lane sees them. */
  channelOf(entry: SessionEntry): SessionChannel {
    if (entry.channel === undefined) this.adoptChannel(entry, new SessionChannel(entry.id));
    return entry.channel as SessionChannel;
  }

  /** Give the session the channel its subscribers are on. */
  adoptChannel(entry: SessionEntry, channel: SessionChannel): void {
    entry.channel = channel;
    channel.onCount((count) => {
      if (entry.state !== "gone") this.#table.setSubscribers(entry.slot, count);
    });
  }

  /** Give a session to be built a slot in `lane`. Capacity is held from here (S3). */
  open(id: SessionId, lane: HostLane, permit: Permit, labels: Record<string, string> | undefined): SessionEntry {
    const { slot, generation } = this.slots.claim();
    const entry = new SessionEntry({ id, slot, generation, lane, permit, labels });
    this.#bySlot[slot] = entry;
    lane.sessionCount++;
    return entry;
  }

  /** Put a built session into the index (S1). The caller has made sure that the id is free. */
  register(entry: SessionEntry): void {
    entry.step("register");
    this.#byId.set(entry.id, entry);
    this.#inOrder?.add(entry);
    this.archived.drop(entry.id);
    this.lost.drop(entry.id);
    this.onRegistered?.(entry);
  }

  /** Take a session out of the index and have its lane forget it, behind everything queued for it. Never waits. */
  leave(entry: SessionEntry, event: "archive" | "discard" | "refuse"): void {
    this.#unindex(entry);
    entry.step(event);
    this.#leave(entry);
    if (event === "archive") {
      entry.isArchived = true;
      this.archived.put(this.#finalView(entry));
    }
    const forget: ForgetCommand = [COMMANDS.FORGET.op, entry.slot, entry.generation];
    if (entry.line === undefined) entry.lane.link.send(forget, 0, true);
    else entry.line.push(forget);
    this.#releaseCapacity(entry);
  }

  #leave(entry: SessionEntry): void {
    this.#leaving.add(entry);
    this.#onLeaving(entry);
  }

  /** The session goes to sleep: it stays in the index until its lane has forgotten it. Main holds its lock. */
  hibernate(entry: SessionEntry): void {
    entry.step("hibernate");
    this.#leave(entry);
  }

  /** The session is packed for another lane, and stays in the index. Main holds its lock. */
  move(entry: SessionEntry): void {
    entry.step("move");
  }

  /** It stays where it is after all: turns are admitted again. */
  stay(entry: SessionEntry): void {
    entry.step("stay");
    this.#leaving.delete(entry);
    unlock(this.#table, entry.slot, lockHolder(this.#table, entry.slot));
  }

  /** `successor`, built in another lane, is the session from now on: its place, its subscribers and its capacity are handed on (S3). */
  replace(entry: SessionEntry, successor: SessionEntry): void {
    this.#unindex(entry);
    entry.step("moved");
    successor.cpuMs += entry.cpuMs;
    [successor.permit, entry.permit] = [entry.permit, successor.permit];
    this.register(successor);
    if (entry.channel !== undefined) this.adoptChannel(successor, entry.channel);
    entry.channel = undefined;
    this.#leaving.add(entry);
    entry.lane.link.send([COMMANDS.FORGET.op, entry.slot, entry.generation], 0, true);
  }

  /** The lane has dropped the session, with its lock, before main asked for it. */
  dropped(entry: SessionEntry): void {
    this.#unindex(entry);
    if (entry.state === "live") {
      entry.step("drop");
      this.#leave(entry);
    }
    unlock(this.#table, entry.slot, lockHolder(this.#table, entry.slot));
    this.#releaseCapacity(entry);
  }

  /** A turn of the session has ended. */
  turnSettled(entry: SessionEntry): void {
    if (entry.state !== "leaving") return;
    if (entry.isArchived) this.archived.refresh(this.#finalView(entry));
    this.#releaseCapacity(entry);
  }

  /** The lane has forgotten the session, or never built it: the slot is free (S2). */
  forgotten(entry: SessionEntry): void {
    if (entry.state === "building") entry.step("refuse");
    else if (entry.state === "live") this.dropped(entry);
    else this.#unindex(entry);
    entry.step("forgotten");
    this.#gone(entry);
  }

  /** The lane is lost, and the session with it. */
  laneLost(entry: SessionEntry): void {
    if (this.find(entry.id) === entry) this.lost.add(entry.id, entry.lane.number);
    this.#unindex(entry);
    entry.step("laneLost");
    // A killed lane leaves its words as they were.
    unlock(this.#table, entry.slot, lockHolder(this.#table, entry.slot));
    if (entry.isArchived) this.archived.refresh(this.#finalView(entry));
    this.#gone(entry);
  }

  #gone(entry: SessionEntry): void {
    entry.permit.release();
    entry.lane.sessionCount--;
    entry.isSuspect = false;
    this.#bySlot[entry.slot] = undefined;
    this.#leaving.delete(entry);
    this.slots.release(entry.slot);
    this.#onGone(entry);
  }

  #unindex(entry: SessionEntry): void {
    if (this.#byId.get(entry.id) !== entry) return;
    this.#byId.delete(entry.id);
    this.#inOrder?.remove(entry.id);
  }

  /** Held until the running turn has really stopped (S3). */
  #releaseCapacity(entry: SessionEntry): void {
    if (lockHolder(this.#table, entry.slot) <= 0) entry.permit.release();
  }

  #finalView(entry: SessionEntry): SessionView {
    const view = viewOf(this.#table, entry);
    return { ...view, state: { ...view.state, isActive: false } };
  }
}
