/** Rows as a store keeps them: msgpack arrays whose first member is the version of their schema. */
import type { SessionId } from "../protocol/ids.ts";
import { isCount } from "../protocol/shapes.ts";
import { StoreError } from "../protocol/store-error.ts";
import { decodeValue } from "./codec.ts";
import { PACKED_SCHEMA } from "./packed-write.ts";

/** Where a row stands, for errors. */
export interface Where {
  readonly session: SessionId;
  readonly row: string;
}

/** @param length - of the row; undefined: any. @returns its members, the version first. @throws StoreError corrupt, schema */
export function decodeRow(bytes: Uint8Array, where: Where, length: number | undefined): unknown[] {
  let row: unknown;
  try {
    row = decodeValue(bytes);
  } catch (cause) {
    throw corrupt(where, `cannot be decoded: ${String(cause)}`, cause);
  }
  if (!Array.isArray(row)) throw misshapen(where);
  const found: unknown = row[0];
  if (found !== PACKED_SCHEMA) {
    if (!isCount(found)) throw misshapen(where);
    throw new StoreError("schema", `row ${where.row} of session ${where.session} has schema ${found}, known is ${PACKED_SCHEMA}`, {
      ...where,
      found,
      known: PACKED_SCHEMA,
    });
  }
  if (length !== undefined && row.length !== length) throw misshapen(where);
  return row as unknown[];
}

export function corrupt(where: Where, problem: string, cause?: unknown): StoreError {
  return new StoreError("corrupt", `row ${where.row} of session ${where.session} ${problem}`, { ...where }, cause);
}
export const misshapen = (where: Where): StoreError => corrupt(where, "does not hold what it should");
