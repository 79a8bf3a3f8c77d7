/**
 * Sessions that lanes are building: new ones, stored ones being opened, and those that move in. Each ends here once, by the lane's report
 * or by its loss.
 *
 *   U1. A session that nobody wants when it is built, its caller gave up, its id is taken, the host closes, is disposed; a new one leaves the
 *       store too.
 */
import { duplicateId, hostClosed } from "../protocol/errors.ts";
import type { SessionError } from "../protocol/errors.ts";
import type { BuiltReport, KeptReport } from "../protocol/frames.ts";
import type { PlacedRequest } from "../protocol/stored-session.ts";
import type { HostLane } from "./host-lane.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** What a build is begun with. */
export interface BuildOrder {
  readonly entry: SessionEntry;
  readonly request: PlacedRequest;
  /** It was not stored before: refused, it leaves the store too. */
  readonly isNew?: boolean;
  /** It is this session, in another lane. */
  readonly replaces?: SessionEntry;
  /** The session is built: put it into the index. */
  readonly accept: () => void;
  readonly reject: (error: unknown) => void;
  /** Called once, when the build is over, well or badly. */
  readonly onOver?: (() => void) | undefined;
}

interface Build {
  readonly order: BuildOrder;
  /** Epoch milliseconds. */
  readonly startedMs: number;
  /** The caller has been answered already. */
  isAbandoned: boolean;
}

export interface BuildsParts {
  readonly registry: SessionRegistry;
  /** Of a host with a store. */
  readonly keeping?: BuildsKeeping | undefined;
  isOpen(): boolean;
}

export interface BuildsKeeping {
  /** The lane has built a session that is kept. */
  onBuilt(entry: SessionEntry, kept: KeptReport, request: PlacedRequest): void;
  /** A session was laid down in the store and is not wanted, or its lane was lost before it could say whether it had been. */
  onUnwanted(entry: SessionEntry): void;
}

export class Builds {
  readonly #host: BuildsParts;
  /** In the order they began. */
  readonly #builds = new Map<SessionEntry, Build>();

  constructor(host: BuildsParts) {
    this.#host = host;
  }

  get size(): number {
    return this.#builds.size;
  }

  /** Sessions whose builds began before `sinceMs`, in epoch milliseconds. */
  *since(sinceMs: number): Generator<SessionEntry> {
    for (const [entry, { startedMs }] of this.#builds) {
      if (startedMs > sinceMs) return;
      yield entry;
    }
  }

  /** The lane has been told to build it. */
  begin(order: BuildOrder): void {
    this.#builds.set(order.entry, { order, startedMs: Date.now(), isAbandoned: false });
    order.entry.lane.building++;
  }

  /** Nobody wants what is being built: the caller is answered with `error` now, the session disposed as soon as it is there. */
  abandon(entry: SessionEntry, error: unknown): void {
    const build = this.#builds.get(entry);
    if (build === undefined) return;
    build.isAbandoned = true;
    build.order.reject(error);
  }

  /** The lane built the session. */
  built(entry: SessionEntry, report: BuiltReport): void {
    const build = this.#take(entry);
    if (build === undefined) return;
    const { isNew, replaces, request, accept, reject, onOver } = build.order;
    const [, , , id, createdAt, handleBits, lastAssistantText, kept] = report;
    const { registry, keeping } = this.#host;
    const known = registry.find(id);
    const isTaken = known !== undefined && known !== replaces;
    entry.id = isTaken ? entry.id : id;
    const refusal = !this.#host.isOpen() ? hostClosed() : isTaken ? duplicateId(id) : undefined;
    if (build.isAbandoned || refusal) {
      registry.leave(entry, "refuse");
      if (isNew === true && !isTaken) keeping?.onUnwanted(entry);
      onOver?.();
      reject(refusal);
      return;
    }
    entry.createdAt = createdAt;
    entry.handleBits = handleBits;
    entry.lastAssistantText = lastAssistantText;
    entry.isHostMode = request.hostMode === true;
    if (kept !== undefined) keeping?.onBuilt(entry, kept, request);
    accept();
    onOver?.();
  }

  /** The lane could not build the session. */
  failed(entry: SessionEntry, error: SessionError): void {
    const build = this.#take(entry);
    build?.order.onOver?.();
    build?.order.reject(error);
    this.#host.registry.forgotten(entry);
  }

  /** The lane ended while it built. The registry frees what the sessions held. */
  laneLost(lane: HostLane, error: SessionError): void {
    for (const entry of this.#builds.keys()) {
      if (entry.lane !== lane) continue;
      const order = this.#take(entry)?.order;
      if (order?.isNew === true) this.#host.keeping?.onUnwanted(entry);
      order?.onOver?.();
      order?.reject(error);
    }
  }

  #take(entry: SessionEntry): Build | undefined {
    const build = this.#builds.get(entry);
    if (build === undefined) return undefined;
    this.#builds.delete(entry);
    entry.lane.building--;
    return build;
  }
}
