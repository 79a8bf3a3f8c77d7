/** Bodies of requests: JSON or none, and bounded. */
import type { MiddlewareHandler } from "hono";

import type { Env } from "./env.ts";
import { HttpError } from "./problems.ts";

/** A body of more than `maxBytes`, or of another type than JSON, is refused before a handler sees the request. */
export function jsonBodies(maxBytes: number): MiddlewareHandler<Env> {
  return async (c, next) => {
    const isChunked = c.req.header("transfer-encoding") !== undefined;
    const length = Number(c.req.header("content-length") ?? 0);
    if (isChunked || length > 0) {
      if (length > maxBytes) throw tooLarge(maxBytes);
      const type = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
      if (type !== "application/json") throw new HttpError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json");
      // The cache holds promises, whatever its type says.
      if (isChunked) Object.assign(c.req.bodyCache, { text: Promise.resolve(await bounded(c.req.raw.body, maxBytes)) });
    }
    await next();
  };
}

/** Reads a body whose length is not known ahead. */
async function bounded(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.byteLength;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError("PAYLOAD_TOO_LARGE", `a body may have ${maxBytes} bytes`, { details: { maxBytes } });
}
