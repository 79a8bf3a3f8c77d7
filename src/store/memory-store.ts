/**
 * A store that keeps its sessions in memory and loses them with its process: for tests, and for hosts that want the rules of a store
 * without a disk.
 *
 *   M1. Rows are copies: what a caller gives or gets shares nothing with what is stored (B5).
 *   M2. A call has its whole effect before it returns its promise, and looks before it writes: so it is atomic (B2).
 */
import type { SessionId } from "../protocol/ids.ts";
import type { Message } from "../protocol/session-model.ts";
import type { AcceptedInput, RestingState } from "../protocol/stored-runtime.ts";
import type {
  LoggedEvent,
  NewSession,
  SessionHead,
  SessionWrite,
  StoredContext,
  StoredQuery,
  StoredSummary,
} from "../protocol/stored-session.ts";
import {
  archived,
  checkCreate,
  checkEvents,
  checkId,
  checkWrite,
  compareIds,
  compareListed,
  isAskedFor,
  notFound,
  summaryOf,
} from "./session-rules.ts";
import { KeyedTurns, MemoryAnswers } from "./memory-keyed.ts";
import type { AnswerStore, EventStore, EventWrite, KeyedTurnStore, RuntimeStore, SessionStore } from "./session-store.ts";
import { StoreError } from "../protocol/store-error.ts";

/** One session: all of it is replaced or pushed to, never changed in place. */
interface Row {
  head: SessionHead;
  readonly log: Message[];
  readonly events: LoggedEvent[];
  context: StoredContext | undefined;
  runtime: { readonly state: RestingState; readonly inputs: readonly AcceptedInput[] } | undefined;
  keyed: KeyedTurns | undefined;
  /** See Standing. */
  lastTicket: number | undefined;
}

export class MemoryStore implements SessionStore {
  readonly events: EventStore = {
    append: (write) => this.#call(() => this.#appendEvents(write)),
    readFrom: (id, seq, limit) => this.#call(() => copy(eventsFrom(this.#rows.get(id), seq, limit))),
    last: (id, maxEpoch) => this.#call(() => lastEvent(this.#rows.get(id), maxEpoch)),
  };
  readonly runtimes: RuntimeStore = {
    put: (id, state) =>
      this.#call(() => {
        const row = this.#rowOf(id);
        row.runtime = { state, inputs: row.runtime?.inputs ?? [] };
      }),
    addInput: (id, input) =>
      this.#call(() => {
        const row = this.#rowOf(id);
        if (row.runtime === undefined) throw notFound(id);
        row.runtime = { ...row.runtime, inputs: [...row.runtime.inputs, copy(input)] };
      }),
    removeInputs: (id, inputIds) =>
      this.#call(() => {
        const row = this.#rows.get(id);
        if (row?.runtime === undefined) return;
        row.runtime = { ...row.runtime, inputs: row.runtime.inputs.filter(({ inputId }) => !inputIds.includes(inputId)) };
      }),
    remove: (id) =>
      this.#call(() => {
        const row = this.#rows.get(id);
        if (row?.runtime === undefined) return false;
        row.runtime = undefined;
        return true;
      }),
    page: () =>
      this.#call(() => ({
        runtimes: [...this.#rows].flatMap(([id, { runtime }]) => (runtime === undefined ? [] : [{ id, ...copy(runtime) }])),
      })),
  };
  readonly keyedTurns: KeyedTurnStore = {
    find: (id, key, now) => this.#call(() => copy(this.#rows.get(id)?.keyed?.find(key, now))),
    keys: (id) => this.#call(() => this.#rows.get(id)?.keyed?.keys ?? []),
  };
  readonly answers: AnswerStore = {
    get: (key, now) => this.#call(() => this.#answers.get(key, now)),
    put: (key, answer, now) => this.#call(() => this.#answers.put(key, answer, now)),
    claim: (key, answer, now) => this.#call(() => this.#answers.claim(key, answer, now)),
    remove: (key) => this.#call(() => this.#answers.remove(key)),
  };
  readonly #answers = new MemoryAnswers();
  readonly #rows = new Map<SessionId, Row>();
  #isClosed = false;

  create(session: NewSession): Promise<number> {
    return this.#call(() => {
      const { id, replaces: _, state, messages, ...rest } = copy(session);
      checkId(id);
      const stored = this.#rows.get(id);
      checkCreate(stored?.head, session);
      const epoch = (stored?.head.epoch ?? 0) + 1;
      const head: SessionHead = { ...state, ...rest, id, epoch, version: 1, logLength: messages.length, isArchived: false };
      const { events = [], runtime, keyed } = stored ?? {};
      this.#rows.set(id, { head, log: [...messages], events, context: undefined, runtime, keyed, lastTicket: undefined });
      return epoch;
    });
  }

  open(id: SessionId): Promise<{ head: SessionHead; messages: Message[] }> {
    return this.#call(() => {
      const row = this.#rowOf(id);
      if (row.head.isArchived) throw archived(id);
      row.head = { ...row.head, epoch: row.head.epoch + 1 };
      return copy({ head: row.head, messages: row.log });
    });
  }

  fence(id: SessionId): Promise<SessionHead | undefined> {
    return this.#call(() => {
      const row = this.#rows.get(id);
      if (row === undefined) return undefined;
      row.head = { ...row.head, epoch: row.head.epoch + 1 };
      return copy(row.head);
    });
  }

  append(write: SessionWrite): Promise<void> {
    return this.#call(() => this.#write(write, "append"));
  }

  rewrite(write: SessionWrite): Promise<void> {
    return this.#call(() => this.#write(write, "rewrite"));
  }

  head(id: SessionId): Promise<SessionHead | undefined> {
    return this.#call(() => copy(this.#rows.get(id)?.head));
  }

  messages(id: SessionId, offset: number, limit: number | undefined): Promise<Message[] | undefined> {
    return this.#call(() => copy(this.#rows.get(id)?.log.slice(offset, limit === undefined ? undefined : offset + limit)));
  }

  list(query: StoredQuery): Promise<StoredSummary[]> {
    return this.#call(() => {
      const { order = "id", after, offset = 0, limit } = query;
      const isBehind = (id: SessionId): boolean => order !== "id" || after === undefined || compareIds(id, after) > 0;
      return [...this.#rows.values()]
        .filter(({ head }) => isAskedFor(head, query) && isBehind(head.id))
        .map(({ head }) => summaryOf(head))
        .sort(compareListed(order))
        .slice(offset, limit === undefined ? undefined : offset + limit);
    });
  }

  archive(id: SessionId, runningTicket: number | undefined): Promise<boolean> {
    return this.#call(() => {
      const row = this.#rows.get(id);
      if (row === undefined || row.head.isArchived) return row !== undefined;
      row.head = { ...row.head, isArchived: true };
      row.lastTicket = runningTicket;
      return true;
    });
  }

  remove(id: SessionId): Promise<boolean> {
    return this.#call(() => this.#rows.delete(id));
  }

  context(id: SessionId): Promise<StoredContext | undefined> {
    return this.#call(() => copy(this.#rows.get(id)?.context));
  }

  putContext(id: SessionId, context: StoredContext): Promise<void> {
    return this.#call(() => {
      const row = this.#rowOf(id);
      if (row.head.isArchived) throw archived(id);
      row.context = copy(context);
    });
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#rows.clear();
    this.#answers.clear();
    return Promise.resolve();
  }

  #rowOf(id: SessionId): Row {
    const row = this.#rows.get(id);
    if (row === undefined) throw notFound(id);
    return row;
  }

  #write(write: SessionWrite, how: "append" | "rewrite"): void {
    const row = this.#rows.get(write.id);
    checkWrite(row && { ...row.head, lastTicket: row.lastTicket }, write);
    const { head, log, events } = row as Row;
    const { state, messages, epoch, events: added = [], keyed } = copy(write);
    checkEvents(write.id, lastEvent(row)?.seq ?? 0, added);
    if (how === "rewrite") log.length = 0;
    for (const message of messages) log.push(message);
    for (const event of added) events.push({ ...event, epoch });
    const { id, createdAt, labels, agent, request, version, isArchived } = head;
    // Not spread from the old head: an optional member that the state lacks is gone.
    const kept = { id, createdAt, labels, agent, request, epoch, isArchived };
    (row as Row).head = { ...state, ...kept, version: version + 1, logLength: log.length };
    (row as Row).lastTicket = undefined;
    const { lastTurn } = state;
    if (keyed === undefined || lastTurn === undefined) return;
    ((row as Row).keyed ??= new KeyedTurns()).add({ ...keyed, ticket: lastTurn.ticket, result: lastTurn.result });
  }

  #appendEvents(write: EventWrite): number {
    const row = this.#rows.get(write.id);
    checkWrite(row && { ...row.head, lastTicket: row.lastTicket }, { id: write.id, epoch: write.epoch, ticket: write.ticket });
    const last = lastEvent(row)?.seq ?? 0;
    checkEvents(write.id, last, write.events);
    for (const event of copy(write.events)) row?.events.push({ ...event, epoch: write.epoch });
    return write.events.at(-1)?.seq ?? last;
  }

  // oxlint-disable-next-line typescript/require-await -- what `call` throws is to be a rejection
  async #call<T>(call: () => T): Promise<T> {
    if (this.#isClosed) throw new StoreError("closed", "the store is closed");
    return call();
  }
}

function eventsFrom(row: Row | undefined, seq: number, limit: number): LoggedEvent[] {
  if (row === undefined) return [];
  const from = row.events.findIndex((event) => event.seq >= seq);
  return from < 0 ? [] : row.events.slice(from, from + limit);
}

function lastEvent(row: Row | undefined, maxEpoch = Number.POSITIVE_INFINITY): { seq: number; epoch: number } | undefined {
  const event = row?.events.findLast(({ epoch }) => epoch <= maxEpoch);
  return event && { seq: event.seq, epoch: event.epoch };
}

/** @throws StoreError invalid for what cannot be stored, such as a function */
function copy<T>(value: T): T {
  try {
    return (plainCopy(value, DEPTH_MAX) ?? structuredClone(value)) as T;
  } catch (cause) {
    throw new StoreError("invalid", `cannot be stored: ${String(cause)}`, {}, cause);
  }
}

/** Levels of a value that are copied here. */
const DEPTH_MAX = 32;

/** @returns a copy of what is plain all through, as most of what is stored: some times faster than `structuredClone`. Undefined: it is not */
function plainCopy(value: unknown, depth: number): unknown {
  if (typeof value === "function" || typeof value === "symbol" || depth === 0) return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value as unknown[]) {
      const copied = plainCopy(item, depth - 1);
      if (copied === undefined) return undefined;
      items.push(copied);
    }
    return items;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  const members: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const copied = member === undefined ? undefined : plainCopy(member, depth - 1);
    if ((copied === undefined && member !== undefined) || key === "__proto__") return undefined;
    members[key] = copied;
  }
  return members;
}
