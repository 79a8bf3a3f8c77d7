/**
 * Frame trace: one JSON line for every record that main sends or receives, for looking into Warren itself (docs/tracing.md). Whether there is one
 * is decided when a port's link is made; without it a frame pays a look at one member.
 *
 *   X1. A line says what kind of record it was, of whom and how large, never what was said: no prompt, no text, no event.
 *   X2. What is traced is not changed, and a frame that cannot be read is a line as well.
 */
import { ticketWord } from "../core/tickets.ts";
import type { RecordShape } from "../protocol/frames.ts";
import { isRecord, isText } from "../protocol/shapes.ts";
import { encodeValue, frameReader } from "./codec.ts";
import type { TraceSink } from "./trace-sink.ts";
import { traceSink } from "./trace-sink.ts";

type Table = Readonly<Record<string, RecordShape>>;
type Direction = "sent" | "received";
type Fields = Record<string, string | number | undefined>;
/** What a record is about. */
type Describe = (op: string, record: readonly unknown[]) => Fields;

export interface PortTrace {
  sent(frame: Uint8Array): void;
  received(frame: Uint8Array): void;
}

/** @param lane - its number. @returns undefined when nobody wants a trace */
export function traceLane(lane: number, commands: Table, reports: Table): PortTrace | undefined {
  const sink = traceSink();
  return sink && new Trace(sink, `lane-${lane}`, { lane }, commands, reports, laneRecords());
}

/** As `traceLane`, of main's port to the store's thread. */
export function traceStore(commands: Table, reports: Table): PortTrace | undefined {
  const sink = traceSink();
  return sink && new Trace(sink, "store", {}, commands, reports, storeRecords());
}

class Trace implements PortTrace {
  readonly #sink: TraceSink;
  readonly #port: string;
  readonly #fields: Fields;
  readonly #describe: Describe;
  readonly #tables: Readonly<Record<Direction, { read: (frame: Uint8Array) => readonly unknown[][]; names: ReadonlyMap<unknown, string> }>>;
  readonly #frames: Record<Direction, number> = { sent: 0, received: 0 };

  constructor(sink: TraceSink, port: string, fields: Fields, sent: Table, received: Table, describe: Describe) {
    this.#sink = sink;
    this.#port = port;
    this.#fields = fields;
    this.#describe = describe;
    const tableOf = (table: Table) => ({
      read: frameReader<unknown[]>(table),
      names: new Map<unknown, string>(Object.entries(table).map(([name, { op }]) => [op, name])),
    });
    this.#tables = { sent: tableOf(sent), received: tableOf(received) };
  }

  sent(frame: Uint8Array): void {
    this.#frame("sent", frame);
  }

  received(frame: Uint8Array): void {
    this.#frame("received", frame);
  }

  #frame(direction: Direction, frame: Uint8Array): void {
    const ms = Math.round(performance.now() * 1000) / 1000;
    const base = { ms, direction, port: this.#port, frame: ++this.#frames[direction] };
    const { read, names } = this.#tables[direction];
    let records: readonly unknown[][];
    try {
      records = read(frame);
    } catch (error) {
      this.#line({ ...base, op: "?", bytes: frame.byteLength, error: String(error), ...this.#fields }); // X2
      return;
    }
    for (const record of records) {
      const op = names.get(record[0]) ?? "?";
      this.#line({ ...base, op, bytes: encodeValue(record).length, ...this.#describe(op, record), ...this.#fields });
    }
  }

  #line(fields: Fields): void {
    this.#sink(`${JSON.stringify(fields)}\n`);
  }
}

// ── lanes ──

const WITHOUT_SLOT: ReadonlySet<string> = new Set(["WAKE", "REPLY", "REPLY_ERROR", "STRAY_ERROR"]);
const WITH_SESSION: ReadonlySet<string> = new Set(["CREATE", "OPEN", "MOVE_IN", "BUILT"]);
const WITH_WORD: ReadonlySet<string> = new Set(["CREDIT", "DETACH", "RESULT", "FAILED", "EVENT", "DELTAS", "GAVE_UP"]);
const LAST: ReadonlySet<string> = new Set(["FORGOTTEN", "BUILD_FAILED"]);
const WITH_REQUEST: ReadonlySet<string> = new Set([
  "EXPORT",
  "HISTORY",
  "APPLY_CONTEXT",
  "HIBERNATE",
  "EVENT_TAIL",
  "MOVE_OUT",
  "FORK",
  "AGENT_SNAPSHOT",
  "COMMS_REPLY",
  "COMMS_CALL",
]);

/** Who is in a slot is learned from the records that say it, and forgotten with the slot. */
function laneRecords(): Describe {
  const slots = new Map<string, { session?: string; ticket?: number }>();
  const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
  return (op, record) => {
    const [, first, generation, third] = record;
    if (op === "REPLY" || op === "REPLY_ERROR") return { request: number(first) };
    if (WITHOUT_SLOT.has(op)) return {};
    const key = `${String(first)}/${String(generation)}`;
    const slot = slots.get(key) ?? {};
    if (WITH_SESSION.has(op) && isText(third)) slots.set(key, Object.assign(slot, { session: third }));
    if (LAST.has(op)) slots.delete(key);
    if (op === "TURN" && typeof third === "number") slot.ticket = third;
    const isItsTurn = op === "TURN" || (WITH_WORD.has(op) && slot.ticket !== undefined && ticketWord(slot.ticket) === third);
    return {
      slot: number(first),
      session: slot.session,
      turn: isItsTurn ? slot.ticket : undefined,
      request: WITH_REQUEST.has(op) ? number(third) : undefined,
    };
  };
}

// ── the store ──

/** Calls whose first argument is no session. */
const OF_NO_SESSION: ReadonlySet<unknown> = new Set([
  "list",
  "backup",
  "runtimes",
  "lastTurns",
  "dropGates",
  "laneDrained",
  "counts",
  "close",
]);

/** An answer says what it answers. */
function storeRecords(): Describe {
  const calls = new Map<unknown, Fields>();
  return (op, record) => {
    const [, request, method, args] = record;
    if (op !== "CALL") {
      const call = calls.get(request) ?? {};
      calls.delete(request);
      return { request: request as number, ...call };
    }
    const [about] = Array.isArray(args) ? (args as unknown[]) : [];
    const named: unknown = Array.isArray(about) ? about[0] : isRecord(about) ? about["id"] : about;
    const call = { method: String(method), session: isText(named) && !OF_NO_SESSION.has(method) ? named : undefined };
    calls.set(request, call);
    return { request: request as number, ...call };
  };
}
