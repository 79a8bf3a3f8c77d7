/**
 * The store thread at work: takes calls from main and from every lane, hands them to the store, answers each on the port it came from.
 * It knows nothing of threads: the thread entry and the tests give it a store and transports.
 *
 *   U1. Calls of one port reach the store in their order.
 *   U2. Whatever the store does, each call is answered once; what it throws that is no StoreError is reported as its failure ("io").
 *   U3. A frame that cannot be read is dropped; everybody else, and the next frame, is served.
 *   U4. A lane that has ended is drained when its port has closed and every call from it is done, whatever the store takes for it.
 */
import type { SessionId } from "../protocol/ids.ts";
import type {
  PackedSession,
  PackedWrite,
  StoreCalls,
  StoreCommand,
  StoreMethod,
  StoreReport,
  WireStoreError,
} from "../protocol/store-calls.ts";
import { STORE_COMMANDS, STORE_REPORTS } from "../protocol/store-calls.ts";
import { textOf } from "../protocol/foreign.ts";
import { isCount, isRecord, isText } from "../protocol/shapes.ts";
import { StoreError, isStoreReason } from "../protocol/store-error.ts";
import { frameReader } from "../transport/codec.ts";
import { Outbox } from "../transport/outbox.ts";
import { packSession } from "../transport/packed-session.ts";
import { unpackWrite } from "../transport/packed-write.ts";
import type { FrameTransport } from "../transport/transport.ts";
import { within } from "../transport/within.ts";
import { adoptSession } from "./adopt-session.ts";
import { CheckpointGates } from "./checkpoint-gates.ts";
import type { CommitCounts } from "./store-counts.ts";
import { CallCounts } from "./store-counts.ts";
import type { AnswerStore, EventStore, KeyedTurnStore, RuntimeStore, SessionStore } from "./session-store.ts";

/** Milliseconds the ports of lanes that have ended may take to close, and what came from them to be done. */
const DRAIN_MAX_MS = 5000;

/** Whoever calls the store: main, or a lane. */
interface Caller {
  readonly outbox: Outbox<StoreReport>;
  /** Not answered yet. */
  calls: number;
  isClosed: boolean;
  /** It has closed, and all its calls are done (U4). */
  readonly onDrained: () => void;
}

type Handlers = { [M in StoreMethod]: (...args: Parameters<StoreCalls[M]>) => unknown };

/** A store copies what it keeps of bytes (SessionStore.writePacked, AnswerStore.put); everything else is made anew. */
const readCommands = frameReader<StoreCommand>(STORE_COMMANDS, "views");

export class StoreServer {
  readonly #store: SessionStore;
  readonly #gates = new CheckpointGates();
  readonly #ports = new Set<FrameTransport>();
  /** By lane: settles when it is drained (U4). */
  readonly #lanes = new Map<number, Promise<void>>();
  /** Lanes are numbered in the order they are served. */
  #newestLane = 0;
  #onNextLane: (() => void)[] = [];
  readonly #handlers: Handlers;
  readonly #onClosed: () => void;
  readonly #counts: CallCounts;

  /**
   * @param onClosed - the store is closed, and whoever asked for it has been told
   * @param commits - where the store counts its commits, if it does
   */
  constructor(store: SessionStore, onClosed: () => void, commits?: CommitCounts) {
    this.#store = store;
    this.#counts = new CallCounts(commits);
    this.#onClosed = onClosed;
    this.#handlers = this.#makeHandlers();
  }

  /** Serve a port until it closes. @param lane - number of the lane at its other end; undefined: main */
  serve(transport: FrameTransport, lane?: number): void {
    const outbox = new Outbox<StoreReport>(
      (frame, records) => transport.send(frame, records),
      (report, error) => [
        STORE_REPORTS.REPLY_ERROR.op,
        report[1],
        wireOf(new StoreError("io", `the answer cannot be sent: ${String(error)}`)),
      ],
    );
    let onDrained!: () => void;
    const drained = new Promise<void>((resolve) => (onDrained = resolve));
    if (lane !== undefined) {
      this.#lanes.set(lane, drained);
      this.#newestLane = lane;
      for (const onServed of this.#onNextLane.splice(0)) onServed();
      void drained.then(() => this.#lanes.get(lane) === drained && this.#lanes.delete(lane));
    }
    const caller: Caller = { outbox, calls: 0, isClosed: false, onDrained };
    this.#ports.add(transport);
    transport.onFrame((frame) => {
      const arrivedMs = performance.now();
      for (const [, request, method, args] of commandsOf(frame)) void this.#answer(caller, request, method, args, arrivedMs);
    });
    transport.onClose(() => {
      this.#ports.delete(transport);
      caller.isClosed = true;
      if (caller.calls === 0) onDrained();
    });
  }

  /** U4. A lane that is newer than those that are served is on its way here: it was lost before this thread came to serve it. */
  async #drained(lane: number): Promise<void> {
    while (lane > this.#newestLane) await new Promise<void>((resolve) => this.#onNextLane.push(resolve));
    await this.#lanes.get(lane);
  }

  async #answer(caller: Caller, request: number, method: StoreMethod, args: readonly unknown[], arrivedMs: number): Promise<void> {
    const { outbox } = caller;
    caller.calls++;
    this.#counts.begin();
    let isFailed = false;
    try {
      if (!Object.hasOwn(this.#handlers, method)) throw new StoreError("io", `no such call: ${textOf(method)}`);
      const handler = this.#handlers[method] as (...args: readonly unknown[]) => unknown;
      outbox.appendSized([STORE_REPORTS.REPLY.op, request, (await handler(...args)) ?? null]);
    } catch (error) {
      isFailed = true;
      outbox.appendSized([STORE_REPORTS.REPLY_ERROR.op, request, wireOf(error)]);
    }
    this.#counts.end((performance.now() - arrivedMs) / 1000, isFailed);
    if (--caller.calls === 0 && caller.isClosed) caller.onDrained();
    if (method === "close") {
      outbox.flush();
      for (const port of this.#ports) port.close();
      this.#onClosed();
    }
  }

  #makeHandlers(): Handlers {
    const store = this.#store;
    const gates = this.#gates;
    const events = (): EventStore => {
      if (store.events === undefined) throw new StoreError("invalid", "the store keeps no events");
      return store.events;
    };
    const runtimes = (): RuntimeStore => {
      if (store.runtimes === undefined) throw new StoreError("invalid", "the store keeps no runtimes");
      return store.runtimes;
    };
    const keyedTurns = (): KeyedTurnStore => {
      if (store.keyedTurns === undefined) throw new StoreError("invalid", "the store remembers no turns");
      return store.keyedTurns;
    };
    const answers = (): AnswerStore => {
      if (store.answers === undefined) throw new StoreError("invalid", "the store keeps no answers");
      return store.answers;
    };
    const write = (packed: PackedWrite, how: "append" | "rewrite"): Promise<void> =>
      store.writePacked === undefined ? store[how](unpackWrite(packed)) : store.writePacked(packed, how);
    const open = async (id: SessionId): Promise<PackedSession> => {
      if (store.openPacked !== undefined) return store.openPacked(id);
      const { head, messages } = await store.open(id);
      return packSession(head, messages);
    };
    return {
      create: async (session) => {
        const epoch = await store.create(session);
        gates.open(session.id, epoch);
        return epoch;
      },
      open: async (id) => {
        const opened = await open(id);
        gates.open(id, opened[0]);
        return opened;
      },
      fence: (id) => store.fence(id),
      append: (packed) => write(packed, "append"),
      rewrite: (packed) => write(packed, "rewrite"),
      head: (id) => store.head(id),
      sleeping: async (id) => {
        const [head, context] = await Promise.all([store.head(id), store.context(id)]);
        if (head === undefined) return null;
        const { epoch, labels, contextTaken, isArchived, request } = head;
        const { isolation, resourceLimits, hostMode } = request;
        return { head: { epoch, labels, contextTaken, isArchived, request: { isolation, resourceLimits, hostMode } }, context };
      },
      messages: (id, offset, limit) => store.messages(id, offset, limit ?? undefined),
      list: (query) => store.list(query),
      archive: (id, runningTicket) => {
        gates.drop(id);
        return store.archive(id, runningTicket ?? undefined);
      },
      remove: (id) => {
        gates.drop(id);
        return store.remove(id);
      },
      context: (id) => store.context(id),
      putContext: (id, context) => store.putContext(id, context),
      backup: (path) => {
        if (store.backup === undefined) throw new StoreError("invalid", "the store cannot be copied while it is in use");
        return store.backup(path);
      },
      logEvents: (write) => events().append(write),
      readEvents: (id, seq, limit) => events().readFrom(id, seq, limit),
      lastEvent: (id, maxEpoch) => events().last(id, maxEpoch ?? undefined),
      putRuntime: (id, state) => runtimes().put(id, state),
      addInput: (id, input) => runtimes().addInput(id, input),
      removeInputs: (id, inputIds) => runtimes().removeInputs(id, inputIds),
      removeRuntime: (id) => runtimes().remove(id),
      runtimes: (from) => runtimes().page(from ?? undefined),
      keyedTurn: (id, key, now) => keyedTurns().find(id, key, now),
      turnKeys: (id) => keyedTurns().keys(id),
      getAnswer: (key, now) => answers().get(key, now),
      putAnswer: (key, answer, now) => answers().put(key, answer, now),
      claimAnswer: (key, answer, now) => answers().claim(key, answer, now),
      removeAnswer: (key) => answers().remove(key),
      checkpoint: (packed, isRewrite) => gates.pass(packed[0], () => write(packed, isRewrite ? "rewrite" : "append")),
      adopt: (session, lastText) => gates.pass(session.id, () => adoptSession(store, session, lastText ?? undefined)),
      cancelCheckpoints: () => gates.cancelAll(),
      rearmCheckpoints: () => gates.rearmAll(),
      dropGates: (dropped) => {
        for (const [id, epoch] of dropped) gates.drop(id, epoch);
      },
      lastTurns: (ids) =>
        Promise.all(
          ids.map(async (id) => {
            try {
              return (await store.head(id))?.lastTurn ?? null;
            } catch {
              return "unreadable";
            }
          }),
        ),
      counts: () => this.#counts.counted(),
      laneDrained: (lane) => within(this.#drained(lane), DRAIN_MAX_MS),
      close: async () => {
        await within(Promise.all(this.#lanes.values()), DRAIN_MAX_MS);
        await store.close();
      },
    };
  }
}

/** U3. What names no request cannot be answered, and what has no arguments is no call. */
function commandsOf(frame: Uint8Array): StoreCommand[] {
  try {
    return readCommands(frame).filter(([, request, , args]) => isCount(request) && Array.isArray(args));
  } catch {
    return [];
  }
}

/** U2. Also for what a third party's store throws: an error of another copy of our class, or anything at all. */
function wireOf(error: unknown): WireStoreError {
  try {
    const { reason, message, details } = Object(error) as Partial<Record<keyof WireStoreError, unknown>>;
    return {
      reason: isStoreReason(reason) ? reason : "io",
      message: isText(message) ? message : textOf(error),
      details: isRecord(details) ? Object.fromEntries(Object.entries(details).filter(isDetail)) : {},
    };
  } catch {
    return { reason: "io", message: "the store failed with an error that cannot be described", details: {} };
  }
}
const isDetail = (member: [string, unknown]): member is [string, string | number | boolean] =>
  ["string", "number", "boolean"].includes(typeof member[1]);
