/**
 * Creates sessions: capacity, placement, build in the lane, registration, first turn.
 *
 *   K1. Capacity is taken before anything is built and given back on every way out.
 *   K2. The first turn is admitted before the session can be seen, so nobody else's turn can come first.
 *   K3. A caller that gives up before admission leaves nothing behind: what was built is disposed.
 */
import { Permit } from "../core/admission.ts";
import type { CommsAsk } from "../protocol/comms.ts";
import { SessionError, agentFailure, hostClosed, takenId } from "../protocol/errors.ts";
import { COMMANDS } from "../protocol/frames.ts";
import type { CreateCommand } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import { IdSource } from "../protocol/ids.ts";
import type { CreateSessionRequest } from "../protocol/requests.ts";
import type { PendingSystemContextAppend } from "../protocol/session-model.ts";
import type { PlacedRequest, SleepingSession, StoredContext } from "../protocol/stored-session.ts";
import type { RunResult } from "../protocol/views.ts";
import type { Abandoned } from "./abandoned.ts";
import { Bound } from "./bound.ts";
import { Builds } from "./builds.ts";
import type { BuildsKeeping } from "./builds.ts";
import type { HostComms } from "./comms/host-comms.ts";
import type { Peer } from "./comms/peer.ts";
import type { HostLane } from "./host-lane.ts";
import type { LanePool } from "./lane-pool.ts";
import type { LoadGate } from "./load-gate.ts";
import type { Quarantine } from "./quarantine.ts";
import { RegistrationWaiters } from "./registration-waiters.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { TurnStart, TurnTable } from "./turn-table.ts";

/** Creates and wake-ups that may wait until another session sleeps. */
export const ROOM_SEEKERS_MAX = 16_384;
/** Where a create comes from and goes to, already checked. */
export interface CreateOrder {
  readonly request: CreateSessionRequest;
  readonly agent: string;
  /** Id of the session to resume, which keeps it. */
  readonly resumeId: SessionId | undefined;
  /** Id that a new session has been given already. */
  readonly newId?: SessionId | undefined;
  /** Of the caller's choice. */
  readonly sessionId?: SessionId | undefined;
  /** The name it asks for among its peers. */
  readonly comms?: CommsAsk | undefined;
  readonly firstTurn: TurnStart | undefined;
  readonly signal: AbortSignal | undefined;
  /** Called once, when no lane builds the session, or is going to: it is in the index, or it will not be. */
  readonly onBuilt?: (() => void) | undefined;
}

/** A stored session to be made live. */
export interface OpenOrder {
  readonly id: SessionId;
  readonly head: SleepingSession["head"];
  /** Staged by main. */
  readonly context: StoredContext | undefined;
  /** Number of the last of its events that main has seen. */
  readonly minSeq: number;
  /** Where to, if that lane is still there. */
  readonly lane?: HostLane | undefined;
}

/** What decides where a session goes, and what it is called there. */
type Placed = Pick<CreateSessionRequest, "isolation" | "resourceLimits" | "labels">;

/** The parts of a host that creating needs. */
export interface CreatorParts {
  readonly registry: SessionRegistry;
  readonly turns: TurnTable;
  readonly pool: LanePool;
  readonly gate: LoadGate;
  readonly quarantine: Quarantine;
  readonly comms: Pick<HostComms, "claim" | "release" | "building">;
  readonly abandoned: Abandoned;
  /** Only for a host with a store. */
  readonly keeping?: CreatorKeeping | undefined;
  isOpen(): boolean;
}

/** What a host with a store adds. */
export interface CreatorKeeping extends BuildsKeeping {
  /** A permit made by putting another session to sleep; undefined: none may. */
  makeRoom(): Promise<Permit | undefined>;
  /** The session is in the index. */
  onLive(entry: SessionEntry): void;
}

export class SessionCreator {
  readonly #host: CreatorParts;
  readonly #ids = new IdSource();
  readonly #roomSeekers = new Bound("room", "creates and wake-ups for room", ROOM_SEEKERS_MAX);
  readonly #waiters = new RegistrationWaiters();
  /** Ids that callers chose, of sessions that are not in the index yet. */
  readonly #chosen = new Set<SessionId>();
  readonly builds: Builds;

  constructor(host: CreatorParts) {
    this.#host = host;
    this.builds = new Builds(host);
  }

  /** An id that no session has. */
  nextId(): SessionId {
    return this.#ids.next(Date.now());
  }

  /** Rejects with SessionError AGENT_ERROR at capacity, HOST_OVERLOADED without a lane, HOST_CLOSED; before anything is built */
  async create(order: CreateOrder): Promise<RunResult> {
    return order.sessionId === undefined ? this.#create(order) : this.#createAs(order.sessionId, order);
  }

  /** Whether a session of that id is being created whose caller chose it. */
  isChosen(id: SessionId): boolean {
    return this.#chosen.has(id);
  }

  async #createAs(id: SessionId, order: CreateOrder): Promise<RunResult> {
    if (this.#chosen.has(id) || this.#host.registry.find(id) !== undefined) throw takenId(id);
    this.#chosen.add(id);
    const onBuilt = (): void => {
      this.#chosen.delete(id);
      order.onBuilt?.();
    };
    try {
      return await this.#create({ ...order, onBuilt });
    } catch (error) {
      const isTaken = error instanceof SessionError && error.details?.["reason"] === "duplicate_id";
      throw isTaken ? takenId(id) : error;
    }
  }

  async #create(order: CreateOrder): Promise<RunResult> {
    let entry: SessionEntry;
    let peer: Peer | undefined;
    try {
      if (!this.#host.isOpen()) throw hostClosed();
      peer = order.comms && this.#host.comms.claim(order.comms, order.request.labels);
      if (order.resumeId !== undefined) this.#host.quarantine.assertFree(order.resumeId);
      this.#host.gate.enterMain();
      const permit = this.#host.registry.capacity.tryTake() ?? (await this.#roomUnless(order.signal));
      if (!this.#host.isOpen() || order.signal?.aborted === true) {
        permit.release(); // it had to wait for its permit
        throw order.signal?.aborted === true ? order.signal.reason : hostClosed();
      }
      entry = this.#place(order.resumeId ?? order.newId ?? order.sessionId ?? this.nextId(), order.request, permit, true);
    } catch (error) {
      if (peer !== undefined) this.#host.comms.release(peer);
      order.onBuilt?.();
      throw error;
    }
    if (peer !== undefined) this.#host.comms.building(peer, entry);
    const { onEvent: _, sessionId: _id, idempotencyKey: _key, ...request } = order.request;
    const command: CreateCommand = [COMMANDS.CREATE.op, entry.slot, entry.generation, entry.id, order.agent, request];
    if (order.newId !== undefined || order.sessionId !== undefined) command.push(true);
    entry.lane.link.sendSized(command, true);
    return new Promise((resolve, reject) => {
      const isNew = order.resumeId === undefined;
      const { signal, onBuilt } = order;
      const onAbort = (): void => {
        this.#host.abandoned.begin(entry);
        this.builds.abandon(entry, signal?.reason);
      };
      const onOver = (): void => {
        signal?.removeEventListener("abort", onAbort);
        onBuilt?.();
      };
      this.builds.begin({
        entry,
        request: placedOf(request),
        isNew,
        accept: () => this.#register(entry, isNew, order.firstTurn, resolve),
        reject,
        onOver: signal === undefined ? onBuilt : onOver,
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /**
   * Make a stored session live: have a lane open it.
   *
   * @param onLive - called when it is in the index, before anything else can be asked of it
   */
  open(what: OpenOrder, permit: Permit, onLive: (entry: SessionEntry) => void): Promise<SessionEntry> {
    const { id, head, context, minSeq, lane } = what;
    const { isolation, resourceLimits } = head.request;
    const entry = this.#place(id, { isolation, resourceLimits, labels: { ...head.labels } }, permit, false, lane);
    entry.lane.link.sendSized([COMMANDS.OPEN.op, entry.slot, entry.generation, id, context, minSeq], true);
    return new Promise((resolve, reject) => {
      const accept = (): void => {
        this.#host.registry.register(entry);
        this.#host.keeping?.onLive(entry);
        onLive(entry);
        resolve(entry);
      };
      this.builds.begin({ entry, request: placedOf(head.request), accept, reject });
    });
  }

  /**
   * Have `lane` build a session that `from`, in another lane, has packed. It takes no capacity: that is handed on with the rest.
   *
   * @param onBuilt - called when it is built, and before anybody can reach it: puts it into the place of `from`
   * @returns its record, and what settles when it is built, or will not be
   */
  moveIn(
    from: SessionEntry,
    lane: HostLane,
    what: { packed: Uint8Array; pending: PendingSystemContextAppend[] },
    onBuilt: (entry: SessionEntry) => void,
  ): { entry: SessionEntry; built: Promise<void> } {
    const { id, isHostMode } = from;
    const entry = this.#host.registry.open(id, lane, Permit.none(), from.labels);
    lane.link.sendSized([COMMANDS.MOVE_IN.op, entry.slot, entry.generation, id, what.packed, what.pending]);
    const built = new Promise<void>((resolve, reject) => {
      const accept = (): void => {
        onBuilt(entry);
        resolve();
      };
      this.builds.begin({ entry, request: { hostMode: isHostMode }, replaces: from, accept, reject });
    });
    return { entry, built };
  }

  /** A permit for one more live session. Rejects at capacity, when nothing can be put to sleep for it */
  async room(): Promise<Permit> {
    const { keeping } = this.#host;
    const permit = keeping === undefined ? undefined : await this.#roomSeekers.hold(() => keeping.makeRoom());
    if (permit === undefined) throw this.#full();
    return permit;
  }

  /** As `room`. Rejects with the signal's reason as soon as it is aborted; a permit that comes later is given back (K1, K3) */
  async #roomUnless(signal: AbortSignal | undefined): Promise<Permit> {
    if (signal === undefined) return this.room();
    signal.throwIfAborted();
    const room = this.room();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        reject(signal.reason as Error);
        room.then(
          (permit) => permit.release(),
          () => {}, // there was none
        );
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const settle = <T>(how: (value: T) => void) => {
        return (value: T): void => {
          signal.removeEventListener("abort", onAbort);
          how(value);
        };
      };
      room.then(settle(resolve), settle(reject));
    });
  }

  /**
   * @param isNew - it may still be refused for load; a wake-up was let in when it began
   * @param wanted - the lane it is to go to, if that is open
   * @throws SessionError HOST_OVERLOADED; the permit is released then
   */
  #place(id: SessionId, { isolation, resourceLimits, labels }: Placed, permit: Permit, isNew: boolean, wanted?: HostLane): SessionEntry {
    const { registry, pool, quarantine, gate } = this.#host;
    const isSuspect = quarantine.isSuspect(id);
    try {
      const free = (): HostLane => (isolation === "dedicated" ? pool.startDedicated(resourceLimits) : pool.placeShared(isSuspect));
      const lane = wanted?.isOpen === true ? wanted : free();
      if (isNew && lane.kind === "shared") gate.enter(lane);
      const entry = registry.open(id, lane, permit, labels);
      entry.isSuspect = isSuspect;
      return entry;
    } catch (error) {
      permit.release();
      throw error;
    }
  }

  #register(
    entry: SessionEntry,
    isNew: boolean,
    firstTurn: TurnStart | undefined,
    resolve: (result: RunResult | Promise<RunResult>) => void,
  ): void {
    const { registry, turns, keeping } = this.#host;
    if (firstTurn === undefined) {
      registry.register(entry);
      keeping?.onLive(entry);
      this.#waiters.announce(entry.id);
      resolve({ text: "", sessionId: entry.id, turns: 0, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } });
      return;
    }
    const ticket = turns.admit(entry); // K2: nobody knows the slot yet, so it is free
    registry.register(entry);
    keeping?.onLive(entry);
    const wasAwaited = this.#waiters.announce(entry.id);
    const onAdmitted = firstTurn.onAdmitted && this.#orDiscard(entry, isNew, firstTurn.onAdmitted);
    resolve(turns.start(entry, ticket, { ...firstTurn, onAdmitted }, wasAwaited));
  }

  /** K3, for a caller whose own code failed: of a new session it will never learn the id. */
  #orDiscard(entry: SessionEntry, isNew: boolean, onAdmitted: (ticket: number) => void): (ticket: number) => void {
    return (ticket) => {
      try {
        onAdmitted(ticket);
      } catch (error) {
        if (entry.state === "live") {
          this.#host.abandoned.begin(entry);
          this.#host.turns.sendNow(entry);
          this.#host.registry.leave(entry, "discard");
          if (isNew) this.#host.keeping?.onUnwanted(entry);
        }
        throw error;
      }
    };
  }

  /** @returns what resolves at the next registration only */
  async nextRegistration(): Promise<SessionId> {
    if (!this.#host.isOpen()) throw hostClosed();
    return this.#waiters.next();
  }

  /** No session will be registered any more. */
  close(): void {
    this.#waiters.close();
  }

  #full(): SessionError {
    const { liveCount, capacity } = this.#host.registry;
    return agentFailure("internal_error", `Max sessions reached (${liveCount}/${capacity.max})`, {
      disposition: "retry", // a session may end
      details: { reason: "capacity", live: liveCount, max: capacity.max },
    });
  }
}

const PLAIN: PlacedRequest = Object.freeze({});

/** Nearly all sessions ask for nothing, and share one. */
function placedOf({ isolation, resourceLimits, hostMode }: PlacedRequest): PlacedRequest {
  const isPlain = (isolation === undefined || isolation === "shared") && hostMode !== true;
  return isPlain ? PLAIN : { isolation, resourceLimits, hostMode };
}
