/** Rows of the `meta` table: what belongs to the store as a whole, and to no session. */
import { decodeValue } from "../transport/codec.ts";
import { StoreError } from "../protocol/store-error.ts";

/** @throws StoreError corrupt */
export function decodedMeta(bytes: Uint8Array, path: string | undefined, row: string): unknown {
  try {
    return decodeValue(bytes);
  } catch (cause) {
    throw damagedMeta(path, row, cause);
  }
}

export function damagedMeta(path: string | undefined, row: string, cause?: unknown): StoreError {
  const where = path === undefined ? "" : ` of the store in ${path}`;
  return new StoreError("corrupt", `row ${row}${where} does not hold what it should`, { row, ...(path !== undefined && { path }) }, cause);
}
