/**
 * What a host with a store has beyond one without: the store's thread, sessions that sleep and wake, turns whose lane is lost, staged
 * context that outlives the process. The service above asks; the dispatcher below tells what happens to live sessions.
 *
 *   P1. A session that was laid down and is not wanted is removed from the store, behind whatever its lane still sent there, and ahead
 *       of whatever is created under its id.
 *   P2. When the store's thread is gone nothing is live any more: every call says so.
 */
import type { Permit } from "../core/admission.ts";
import { busy, hostClosed, notFound } from "../protocol/errors.ts";
import type { KeptReport } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { PersistentHostOptions } from "../protocol/options.ts";
import { StoreError, storeFailure } from "../protocol/store-error.ts";
import type { StoreCounts, StoreSnapshot } from "../protocol/views.ts";
import type { PlacedRequest, SleepingSession } from "../protocol/stored-session.ts";
import type { StoreClient } from "../transport/store-client.ts";
import { within } from "../transport/within.ts";
import { Departures } from "./departures.ts";
import { Hibernation } from "./hibernation.ts";
import { KeptEntry } from "./kept-entry.ts";
import { KeptMoves } from "./kept-moves.ts";
import type { LaneStore } from "./lane-pool.ts";
import { LostTurns } from "./lost-turns.ts";
import { RecentSessions } from "./recent-sessions.ts";
import { SessionChannels } from "./session-channels.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionHost } from "./session-host.ts";
import { StagedContexts } from "./staged-contexts.ts";
import type { StoreThread } from "./store-thread.ts";
import type { CancelReason } from "./turn.ts";
import type { Door, WaysIn } from "./turn-door.ts";
import { WakingContext } from "./waking-context.ts";
import { Wakes } from "./wakes.ts";

/** Milliseconds that what the host itself still has to write may take when it closes: a store that stalls must not hold it for each of them. */
const CLOSE_MAX_MS = 10_000;
/** Milliseconds that whoever asks for the store's counts waits: a store that stalls must not hold up what watches it. */
const COUNTS_MAX_MS = 1000;

export class Persistence implements WaysIn {
  readonly options: PersistentHostOptions;
  readonly wakes: Wakes;
  readonly hibernation: Hibernation;
  readonly moves: KeptMoves;
  readonly channels = new SessionChannels();
  readonly contexts: StagedContexts;
  readonly recent = new RecentSessions();
  readonly lostTurns: LostTurns;
  readonly departures: Departures;
  readonly #host: SessionHost;
  readonly #thread: StoreThread;
  /** By id: of sessions on their way into a lane. */
  readonly #waking = new Map<SessionId, WakingContext>();
  /** Stored sessions that a create is about to replace, each until its lane has built the new one, or not. */
  readonly #replaced = new Map<SessionId, Promise<void>>();
  /** Stored sessions that are being archived or removed, and new ones that may be stored and are not wanted. They end, as every call of the store does. */
  readonly #ending = new Map<SessionId, Promise<void>>();
  /** To be dropped. */
  readonly #gates: [id: SessionId, epoch: number][] = [];
  #isClosing = false;
  #isLost = false;

  /** Built by the host, whose parts are used only after it is open. */
  constructor(host: SessionHost, thread: StoreThread, options: PersistentHostOptions) {
    this.options = options;
    this.#host = host;
    this.#thread = thread;
    this.departures = new Departures(host.table);
    this.contexts = new StagedContexts(thread.client);
    this.lostTurns = new LostTurns({
      client: thread.client,
      fail: (turn, error) => host.turns.fail(turn, error),
      onUnknown: (id, failure) => this.#tell("outcome_unknown", id, failure),
    });
    this.hibernation = new Hibernation({
      table: host.table,
      registry: host.registry,
      afterMs: options.hibernateAfterMs,
      query: (entry, command) => host.queries.serve(entry, command),
      onFailed: (entry, error) => this.#onUnsaved(entry, error),
    });
    this.wakes = new Wakes({
      observers: host.turns.observers,
      nextTicket: () => host.turns.nextTicket(),
      assertFree: (id) => host.quarantine.assertFree(id),
      stored: (id) => this.#stored(id),
      leaving: (id) => {
        const entry = this.departures.of(id);
        return entry && { entry, isActive: this.departures.isActive(id), gone: this.departures.over(id) as Promise<void> };
      },
      room: (id) => this.moves.takePlace(id) ?? host.registry.capacity.tryTake() ?? host.creator.room(),
      enter: () => host.gate.enterSome(host.pool),
      open: (id, stored, permit, onLive) => this.#open(id, stored, permit, onLive),
      startTurn: (entry, ticket, start) => {
        host.turns.admitAs(entry, ticket);
        this.used(entry);
        return host.turns.start(entry, ticket, start);
      },
      onTurnOver: (id) => host.lines.look(id),
    });
    this.moves = new KeptMoves({
      table: host.table,
      hibernation: this.hibernation,
      wakes: this.wakes,
      onStays: (entry) => this.#onStays(entry),
      onUnsaved: (entry, error) => this.#onUnsaved(entry, error),
      onMoved: (entry, from, reason) => host.onMoved(entry, from, reason),
      onEnded: (id) => host.comms.arrivedNowhere(id),
    });
    host.turns.onSettled = this.used; // a member: see SessionHost.#onRound
    void thread.ended.then(() => this.#threadEnded());
  }

  get client(): StoreClient {
    return this.#thread.client;
  }

  get keepsAnswers(): boolean {
    return this.#thread.has.answers;
  }

  get keepsTurns(): boolean {
    return this.#thread.has.keyedTurns;
  }

  /** A lane's port to the store thread. */
  connect(): LaneStore {
    return this.#thread.connect(this.options.events === "log");
  }

  // ── sessions come and go ──

  /** For a wake-up: what is staged from now on until it ends finds it here. */
  async #stored(id: SessionId): Promise<SleepingSession> {
    if (this.#replaced.has(id)) throw busy(id);
    // Nothing is awaited that is not there: thousands may be woken at once.
    const lostTurns = this.lostTurns.settled(id);
    if (lostTurns !== undefined) await lostTurns;
    for (let ending; (ending = this.#ending.get(id)) !== undefined;) await ending; // what the store says decides
    for (let writing; (writing = this.contexts.settled(id)) !== undefined;) await writing;
    const known = this.recent.take(id);
    const stored = known === undefined ? this.#readStored(id) : Promise.resolve(known);
    const waking = new WakingContext(stored, (entry, append) => this.#host.feedContext(entry, append));
    this.#waking.set(id, waking);
    const forget = (): void => {
      if (this.#waking.get(id) === waking) this.#waking.delete(id);
    };
    this.wakes.pending(id)?.then(forget, forget);
    return stored;
  }

  async #readStored(id: SessionId): Promise<SleepingSession> {
    try {
      const sleeping = await this.client.call("sleeping", id);
      if (sleeping === null || sleeping.head.isArchived) throw notFound(id);
      return { head: sleeping.head, context: sleeping.context ?? undefined };
    } catch (error) {
      throw error instanceof StoreError ? storeFailure(error, id) : error;
    }
  }

  #open(id: SessionId, stored: SleepingSession, permit: Permit, onLive: (entry: SessionEntry) => void): Promise<SessionEntry> {
    return this.#host.creator
      .open({ id, ...stored, minSeq: this.channels.lastSeq(id), lane: this.moves.laneFor(permit) }, permit, (entry) => {
        this.#waking.get(id)?.live(entry, stored);
        onLive(entry);
      })
      .catch((error: unknown) => {
        this.#dropGate(id, stored.head.epoch + 1); // the lane may have opened it
        throw error;
      });
  }

  /** Those of one go together: a lane is lost with thousands. A store that is gone has no gates. */
  #dropGate(id: SessionId, epoch: number): void {
    this.#gates.push([id, epoch]);
    if (this.#gates.length > 1) return;
    queueMicrotask(() => {
      const gates = this.#gates.splice(0);
      if (!this.#isLost) void this.client.call("dropGates", gates).catch(() => {});
    });
  }

  /** The staged context of a session that is waking. */
  wakingContext(id: SessionId): WakingContext | undefined {
    return this.#waking.get(id);
  }

  /** Settles when the session of that id is no longer being replaced; undefined when it is not. */
  replaced(id: SessionId): Promise<void> | undefined {
    return this.#replaced.get(id);
  }

  /** Have the store archive or remove a session. No wake-up or create that begins meanwhile goes by what was known of it before. */
  ending<T>(id: SessionId, end: () => Promise<T>): Promise<T> {
    const ended = end().finally(() => this.recent.forget(id));
    const over: Promise<void> = Promise.allSettled([this.#ending.get(id), ended]).then(() => {
      if (this.#ending.get(id) === over) this.#ending.delete(id);
    });
    this.#ending.set(id, over);
    return ended;
  }

  /** Resolves when nothing is on its way that archives or removes what is stored under the id; undefined: nothing is. Never rejects. */
  ended(id: SessionId): Promise<void> | undefined {
    return this.#ending.get(id);
  }

  /**
   * Create a session in the place of a stored one. Of an id one at a time; no wake-up begins meanwhile, and nothing may be staged.
   *
   * @param create - calls what it is given when the session is built, or is not going to be: a caller that gives up ends no build
   */
  async replacing<T>(id: SessionId, create: (onBuilt: () => void) => Promise<T>): Promise<T> {
    let resolve!: () => void;
    this.recent.forget(id);
    this.#replaced.set(id, new Promise((onResolve) => (resolve = onResolve)));
    await this.gone(id);
    await this.ended(id);
    await this.contexts.settled(id); // it goes with what is replaced
    return create(() => {
      this.#replaced.delete(id);
      resolve();
    });
  }

  /** @throws SessionError HOST_CLOSED */
  async makeRoom(): Promise<Permit | undefined> {
    const permit = await this.hibernation.makeRoom((entry) => this.gone(entry.id));
    if (permit === undefined && this.#isClosing) throw hostClosed();
    return permit;
  }

  onBuilt(entry: SessionEntry, { epoch, comms }: KeptReport, request: PlacedRequest): void {
    entry.kept = new KeptEntry(entry, { epoch, request }, Date.now());
    if (comms !== undefined) this.#host.comms.woke(entry, comms);
  }

  onLive(entry: SessionEntry): void {
    this.channels.attach(entry, this.#host.registry, this.options.events === "log");
    this.used(entry);
    this.#host.comms.live(entry);
  }

  /** P1. What its lane sent before it was lost, or left, is written by then. */
  onUnwanted(entry: SessionEntry): void {
    const remove = async (): Promise<void> => {
      await this.gone(entry.id);
      if (entry.lane.hasEnded) await this.client.call("laneDrained", entry.lane.storeConnection ?? 0);
      await this.client.call("remove", entry.id);
    };
    this.ending(entry.id, remove).catch((error: unknown) => this.#tell("session_not_removed", entry.id, error));
  }

  /** A turn begins or ends. */
  readonly used = ({ kept, state }: SessionEntry): void => {
    if (kept !== undefined && state === "live") this.hibernation.used(kept, Date.now());
  };

  onLeaving(entry: SessionEntry): void {
    this.departures.begin(entry);
    if (entry.kept !== undefined) this.hibernation.gone(entry.kept);
  }

  /** Put an idle session to sleep that nobody asked for. @returns whether it sleeps, or will not be in its lane any more */
  async layToRest(entry: SessionEntry): Promise<boolean> {
    try {
      await this.hibernation.hibernate(entry);
      return true;
    } catch (error) {
      if (entry.state === "live") return false;
      this.#onUnsaved(entry, error);
      return true;
    }
  }

  #onUnsaved({ id }: SessionEntry, error: unknown): void {
    this.#host.events.emit("session_unsaved", { sessionId: id, details: { error: String(error) } });
  }

  /** The session does not leave after all. Its waiting turn comes first, then whoever waited for it to be gone. */
  #onStays(entry: SessionEntry): void {
    this.#host.registry.stay(entry);
    const tell = this.departures.end(entry);
    this.used(entry);
    this.wakes.stayed(entry);
    this.#host.comms.live(entry);
    tell?.();
  }

  /** The session has left its lane. */
  onGone(entry: SessionEntry): void {
    this.departures.end(entry)?.();
    if (entry.kept === undefined) return;
    this.hibernation.gone(entry.kept);
    if (entry.isArchived || this.#isClosing) entry.channel?.close();
    else {
      this.channels.detach(entry);
      this.#remember(entry, entry.kept);
    }
    this.#dropGate(entry.id, entry.kept.epoch);
  }

  /** One with staged context has a row of main's in the store, which its wake-up needs. */
  #remember({ id, labels, ledger }: SessionEntry, { epoch, request }: KeptEntry): void {
    if (ledger === undefined)
      this.recent.remember(id, { head: { epoch, labels, contextTaken: 0, isArchived: false, request }, context: undefined });
  }

  /** Resolves when no session of that id is on its way out of a lane, and no turn of it is still to be answered by the store. */
  async gone(id: SessionId): Promise<void> {
    await this.departures.over(id);
    await this.lostTurns.settled(id);
  }

  // ── turns that wait for a session that is not in a lane ──

  /** One that is being replaced is busy until it is, or is not. */
  door(id: SessionId): Door | undefined {
    const replaced = this.#replaced.get(id);
    if (replaced === undefined) return this.wakes.door(id);
    void replaced.then(() => this.#host.lines.look(id));
    return undefined;
  }

  leaving(id: SessionId): SessionEntry | undefined {
    return this.departures.of(id);
  }

  interrupt(id: SessionId, reason: CancelReason): boolean {
    return this.wakes.interrupt(id, reason);
  }

  // ── what breaks ──

  /** P2 */
  #threadEnded(): void {
    this.#isLost = true;
    if (this.#isClosing) return;
    this.#host.events.emit("store_lost");
    for (const entry of this.#host.registry.all()) if (entry.state === "live") this.#host.leave(entry, "discard");
  }

  #tell(type: "session_not_removed" | "outcome_unknown", sessionId: SessionId, error: unknown): void {
    const reason = error instanceof StoreError ? error.reason : undefined;
    this.#host.events.emit(type, { sessionId, details: { error: String(error), ...(reason !== undefined && { reason }) } });
  }

  // ── the end ──

  /** No session is woken or put to sleep any more. */
  stop(): void {
    this.#isClosing = true;
    this.wakes.close();
    this.hibernation.close();
    this.channels.close();
  }

  /** Close the store. The lanes have ended. */
  async close(): Promise<void> {
    await within(Promise.all([...this.#ending.values(), this.contexts.idle(), this.lostTurns.idle()]), CLOSE_MAX_MS);
    await this.#thread.close();
  }

  /** As the service's `storeCounts`. */
  async counts(): Promise<StoreCounts | undefined> {
    let counts: StoreCounts | undefined;
    const told = this.client.call("counts").then(
      (answer) => (counts = answer),
      () => {}, // the store is gone: there is nothing to tell
    );
    await within(told, COUNTS_MAX_MS);
    return counts;
  }

  inspect(): StoreSnapshot {
    return {
      kind: this.options.store.kind,
      state: this.#isLost ? "closed" : "open",
      waitingCalls: this.client.waiting,
      waking: this.wakes.size,
      hibernated: this.hibernation.count,
    };
  }
}
