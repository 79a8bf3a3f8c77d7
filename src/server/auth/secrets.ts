/**
 * Keys of callers: `wk_<id>_<secret>`.
 *
 * The secret is 32 random bytes. Nobody can guess one, so the plain SHA-256 that is kept of it cannot be turned back, and checking it costs
 * microseconds: the slow hashes and salts that passwords need would protect nothing here, and cost every request.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

const SECRET_BYTES = 32;
const ID_BYTES = 6;
const TOKEN = /^wk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

export interface NewSecret {
  readonly id: string;
  /** What the caller sends. It is nowhere else. */
  readonly token: string;
  /** What is kept. */
  readonly hash: string;
}

export function newSecret(): NewSecret {
  const id = randomBytes(ID_BYTES).toString("hex");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  return { id, token: `wk_${id}_${secret}`, hash: digest(secret).toString("hex") };
}

/** Whether a bearer token is meant to be a key, well-formed or not. */
export function isKeyToken(token: string): boolean {
  return token.startsWith("wk_");
}

/** @returns undefined when it has not the form of a key */
export function readToken(token: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = TOKEN.exec(token) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** @param hash - of NewSecret. In constant time. */
export function isSecretOf(secret: string, hash: string): boolean {
  return timingSafeEqual(digest(secret), Buffer.from(hash, "hex"));
}

/** What a token is found under that is kept in memory only. */
export function digestOf(token: string): string {
  return digest(token).toString("base64url");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
