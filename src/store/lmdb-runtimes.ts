/**
 * Runtimes of sessions and their inputs: a row for a runtime, keyed by its session's number, and behind it one for each input, in the order
 * in which they were accepted.
 *
 * | row     | members behind the version          |
 * | ------- | ----------------------------------- |
 * | runtime | session's id, state                 |
 * | input   | inputId, runId, boundary, request   |
 */
import type { SessionId } from "../protocol/ids.ts";
import { isRecord, isText } from "../protocol/shapes.ts";
import { StoreError } from "../protocol/store-error.ts";
import type { AcceptedInput, RestingState, RuntimePage } from "../protocol/stored-runtime.ts";
import { encodeValue } from "../transport/codec.ts";
import { decodeRow, misshapen } from "../transport/stored-row.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { findHead } from "./lmdb-heads.ts";
import { END_OF_NUMBERS, NUMBER_MAX, SEQ_MAX, eventKey, numberKey, numberOf, seqOf } from "./lmdb-keys.ts";
import { ROW_SCHEMA } from "./lmdb-rows.ts";
import { notFound } from "./session-rules.ts";

/** A page ends with the runtime that reaches one of these. */
const PAGE_RUNTIMES = 1000;
const PAGE_BYTES = 8 * 1024 * 1024;
const STATES: readonly string[] = ["idle", "retired", "stopped"] satisfies RestingState[];
const BOUNDARIES: readonly string[] = ["immediate", "run_start", "run_checkpoint"] satisfies AcceptedInput["boundary"][];

/** @throws StoreError not_found */
export function put(env: LmdbEnv, id: SessionId, state: RestingState): void {
  const head = findHead(env, id);
  if (head === undefined) throw notFound(id);
  env.put("runtimes", numberKey(head.number), encodeValue([ROW_SCHEMA, id, state]));
}

/** @throws StoreError not_found */
export function addInput(env: LmdbEnv, id: SessionId, { inputId, runId, boundary, request }: AcceptedInput): void {
  const head = findHead(env, id);
  if (head === undefined || !env.has("runtimes", numberKey(head.number))) throw notFound(id);
  const row = encodeValue([ROW_SCHEMA, inputId, runId, boundary, request]);
  env.put("runtimes", eventKey(head.number, lastInput(env, head.number, id) + 1), row);
}

export function removeInputs(env: LmdbEnv, id: SessionId, inputIds: readonly string[]): void {
  const head = findHead(env, id);
  if (head === undefined) return;
  const wanted = new Set(inputIds);
  const doomed: Uint8Array[] = [];
  // Those that are removed stand in front, nearly always.
  for (const { key, value } of env.entries("runtimes", inputsOf(head.number))) {
    if (wanted.size === 0) break;
    const input = readable(() => decodeInput(value, id, seqOf(key)));
    if (input !== undefined && wanted.delete(input.inputId)) doomed.push(Buffer.from(key));
  }
  for (const key of doomed) env.remove("runtimes", key);
}

/** @returns whether there was one */
export function remove(env: LmdbEnv, id: SessionId): boolean {
  const head = findHead(env, id);
  if (head === undefined || !env.has("runtimes", numberKey(head.number))) return false;
  eraseRuntime(env, head.number);
  return true;
}

/** Remove the runtime of a session's number with its inputs. */
export function eraseRuntime(env: LmdbEnv, number: number): void {
  const keys = [...env.keys("runtimes", { start: numberKey(number), end: behindInputs(number) })];
  for (const key of keys) env.remove("runtimes", key);
}

/** @param onUnreadable - told of rows that are left out; a runtime's inputs are left out with it */
export function page(env: LmdbEnv, from: string | undefined, onUnreadable: (error: StoreError) => void): RuntimePage {
  const runtimes: { id: SessionId; state: RestingState; inputs: AcceptedInput[] }[] = [];
  const start = numberKey(from === undefined ? 0 : startOf(from));
  let open: (typeof runtimes)[number] | undefined;
  let owner: Uint8Array = start;
  let bytes = 0;
  for (const { key, value } of env.entries("runtimes", { start, end: END_OF_NUMBERS })) {
    const number = numberOf(key);
    if (number >= 0) {
      if (runtimes.length >= PAGE_RUNTIMES || bytes >= PAGE_BYTES) return { runtimes, next: String(number) };
      open = readable(() => ({ ...decodeRuntime(value, number), inputs: [] }), onUnreadable);
      owner = numberKey(number);
      if (open !== undefined) runtimes.push(open);
    } else if (open !== undefined && Buffer.compare(key.subarray(0, owner.length), owner) === 0 && seqOf(key) >= 0) {
      const { id } = open;
      const input = readable(() => decodeInput(value, id, seqOf(key)), onUnreadable);
      if (input !== undefined) open.inputs.push(input);
    }
    bytes += value.length;
  }
  return { runtimes };
}

function startOf(from: string): number {
  const number = Number(from);
  if (Number.isSafeInteger(number) && number >= 0 && number <= NUMBER_MAX) return number;
  throw new StoreError("invalid", "not the next page of runtimes", { from });
}

const inputsOf = (number: number) => ({ start: eventKey(number, 0), end: behindInputs(number) });
const behindInputs = (number: number): Uint8Array => (number >= NUMBER_MAX ? END_OF_NUMBERS : numberKey(number + 1));

/** @returns the number of the last input, 0 when there is none; keys that are none are passed over. @throws StoreError corrupt */
function lastInput(env: LmdbEnv, number: number, session: SessionId): number {
  for (const key of env.keys("runtimes", { start: behindInputs(number), end: eventKey(number, 0), reverse: true })) {
    const seq = seqOf(key);
    if (seq >= SEQ_MAX) throw misshapen({ session, row: `input ${seq}` });
    if (seq >= 0) return seq;
  }
  return 0;
}

function decodeRuntime(bytes: Uint8Array, number: number): { id: SessionId; state: RestingState } {
  const where = { session: `number ${number}`, row: "runtime" };
  const [, id, state] = decodeRow(bytes, where, 3);
  if (!isText(id) || !isText(state) || !STATES.includes(state)) throw misshapen(where);
  return { id, state: state as RestingState };
}

function decodeInput(bytes: Uint8Array, session: SessionId, seq: number): AcceptedInput {
  const where = { session, row: `input ${seq}` };
  const [, inputId, runId, boundary, request] = decodeRow(bytes, where, 5);
  if (!isText(inputId) || !isText(runId) || !isText(boundary) || !BOUNDARIES.includes(boundary)) throw misshapen(where);
  if (!isRecord(request) || !isText(request["prompt"])) throw misshapen(where);
  return { inputId, runId, boundary: boundary as AcceptedInput["boundary"], request: request as unknown as AcceptedInput["request"] };
}

/** @returns what cannot be read as undefined */
function readable<T>(read: () => T, onUnreadable: (error: StoreError) => void = () => {}): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    onUnreadable(error);
    return undefined;
  }
}
