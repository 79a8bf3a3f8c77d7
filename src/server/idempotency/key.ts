/** The header Idempotency-Key, and what a request with one is known by. */
import { createHash } from "node:crypto";

import { refuse } from "../../protocol/parse.ts";
import type { Principal } from "../principal.ts";

/** Characters of a key, at most. */
const KEY_MAX = 255;

/**
 * @param header - as it came: bare, or quoted as the standards' draft has it
 * @throws SessionError INVALID_PARAMS
 */
export function keyOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const key = /^"(.*)"$/s.exec(header)?.[1] ?? header;
  if (key.length > KEY_MAX || !/^[\x20-\x7e]+$/.test(key)) refuse("Idempotency-Key", `must be 1 to ${KEY_MAX} printable ASCII characters`);
  return key;
}

/** @returns what a request is remembered under: keys of different callers and different routes have nothing to do with each other */
export function recordKey({ tenant, key: caller }: Principal, method: string, path: string, key: string): string {
  const whose = tenant === undefined ? `key ${caller}` : `tenant ${tenant}`;
  return `http ${digest(JSON.stringify([whose, method, path, key]))}`;
}

/** @returns what tells a body from another */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
