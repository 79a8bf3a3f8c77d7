/** Why a store refused or failed. A host hands it on as SESSION_STORE_ERROR whose details are these fields, unless it knows better. */

import { SessionError, duplicateId, notFound } from "./errors.ts";
import type { SessionId } from "./ids.ts";

/** Every reason, what it means, and whether the same call may succeed later. */
export const STORE_REASONS = {
  not_found: { isRefusal: true, summary: "there is no such session" },
  exists: { isRefusal: true, summary: "a session of this id is stored already" },
  archived: { isRefusal: true, summary: "the session is archived" },
  stale: { isRefusal: true, summary: "the stored session is newer than the one that would replace it" },
  fenced: { isRefusal: true, summary: "the session was made live elsewhere since: its epoch is newer" },
  version: { isRefusal: true, summary: "the write does not follow the session's last one" },
  corrupt: { isRefusal: false, summary: "a row cannot be read, or does not hold what it should" },
  schema: { isRefusal: false, summary: "a row or the whole store was written by a version that is not known here" },
  foreign: { isRefusal: false, summary: "the file or folder holds something that is not a store of Warren's" },
  full: { isRefusal: false, summary: "the disk, or the map of the database, is full" },
  in_use: { isRefusal: false, summary: "another host has the store open" },
  unwritable: { isRefusal: false, summary: "the path cannot be read, written or created" },
  closed: { isRefusal: false, summary: "the store is closed, or its thread has ended" },
  stalled: { isRefusal: false, summary: "the store did not answer in time: what became of the call is not known" },
  invalid: { isRefusal: false, summary: "what was to be stored is not what a store takes" },
  io: { isRefusal: false, summary: "the store failed" },
} as const;

export type StoreReason = keyof typeof STORE_REASONS;
export const isStoreReason = (value: unknown): value is StoreReason => typeof value === "string" && Object.hasOwn(STORE_REASONS, value);

/** `details` say where: `path`, `session`, `row`, `version`, whatever applies. */
export class StoreError extends Error {
  readonly reason: StoreReason;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(reason: StoreReason, message: string, details: Readonly<Record<string, string | number | boolean>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StoreError";
    this.reason = reason;
    this.details = details;
  }
}

/** @returns the error a caller gets for a store that failed, or refused what it should have taken */
export function storeFailure(error: StoreError, sessionId?: SessionId): SessionError {
  const { reason, message, details } = error;
  return new SessionError("SESSION_STORE_ERROR", `store error: ${message}`, { sessionId, details: { ...details, reason }, cause: error });
}

/** As `storeFailure`, for access to a session by its id: what is not there, or archived, is not found. */
export function accessFailure(error: StoreError, sessionId: SessionId): SessionError {
  if (error.reason === "not_found" || error.reason === "archived") return notFound(sessionId);
  if (error.reason === "exists") return duplicateId(sessionId);
  return storeFailure(error, sessionId);
}
