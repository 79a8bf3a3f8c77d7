/** The public keys of a token's issuer: fetched, or read from a file. */
import type { JWTVerifyGetKey } from "jose";
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors } from "jose";

import type { Logger } from "../../protocol/options.ts";
import type { JwtSettings } from "./options.ts";
import { WatchedFile } from "./watched-file.ts";

/** Of a fetched set; those in use have a few keys. */
const SET_BYTES_MAX = 1024 * 1024;
/** Milliseconds in which nothing is fetched after a fetch that failed: requests are refused at once instead of waiting one by one. */
const PAUSE_MS = 1000;

/** The keys cannot be had: whether a token is good is not known. */
export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
}

export interface KeySet {
  /** Rejects with KeysUnavailableError, or with an error of jose when the set has no key for the token. Waits for a fetch at most. */
  readonly keyFor: JWTVerifyGetKey;
  reload(): Promise<void>;
  close(): void;
}

/** @throws Error when the file cannot be used; a set that is fetched is fetched when it is first needed */
export async function openKeySet(settings: JwtSettings, everyMs: number, logger?: Pick<Logger, "info" | "warn">): Promise<KeySet> {
  const { keys } = settings;
  if ("url" in keys) return fetchedKeySet(new URL(keys.url), settings, logger);
  const file = await WatchedFile.open({ path: keys.file, parse: keysOf, everyMs, logger });
  return {
    keyFor: (header, token) => orUnavailable(() => file.value(header, token)),
    reload: () => file.reload(),
    close: () => file.close(),
  };
}

function fetchedKeySet(url: URL, settings: JwtSettings, logger?: Pick<Logger, "warn">): KeySet {
  let pausedUntil = 0;
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: settings.fetchTimeoutMs,
    cacheMaxAge: settings.keysMaxAgeMs,
    cooldownDuration: settings.refetchAfterMs,
    [customFetch]: async (address, options) => {
      if (Date.now() < pausedUntil) throw new Error("the last fetch failed a moment ago");
      try {
        return await boundedFetch(address, options);
      } catch (error) {
        pausedUntil = Date.now() + PAUSE_MS;
        logger?.warn({ url: url.href, reason: (error as Error).message }, "cannot fetch the keys that tokens are signed with");
        throw error;
      }
    },
  });
  return {
    keyFor: (header, token) => orUnavailable(() => remote(header, token)),
    reload: () => remote.reload().catch(() => undefined), // told by the fetch
    close: () => undefined,
  };
}

/** As fetch, with a body of a bounded length, all of it there and a key set. */
async function boundedFetch(address: string, options: RequestInit): Promise<Response> {
  const response = await fetch(address, options);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > SET_BYTES_MAX) throw new Error(`more than ${SET_BYTES_MAX} bytes`); // leaving the loop ends the connection
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks).toString("utf8");
  keysOf(body);
  return new Response(body);
}

/** @throws Error when it is no JWK Set */
function keysOf(text: string): JWTVerifyGetKey {
  return createLocalJWKSet(JSON.parse(text) as Parameters<typeof createLocalJWKSet>[0]);
}

async function orUnavailable<T>(find: () => T | Promise<T>): Promise<T> {
  try {
    return await find();
  } catch (error) {
    const isOfToken =
      error instanceof errors.JWKSNoMatchingKey ||
      error instanceof errors.JWKSMultipleMatchingKeys ||
      error instanceof errors.JOSENotSupported;
    throw isOfToken ? error : new KeysUnavailableError("the keys that tokens are signed with cannot be had", { cause: error });
  }
}
