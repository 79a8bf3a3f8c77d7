/**
 * Answers of JSON that are given often, written straight to the client's connection. The framework makes a stream of an answer and reads it
 * again to write it: that costs about as much as what else the server does for a turn.
 */
import type { Ctx } from "./env.ts";

/** For the framework: the answer has been given. Its status is the answer's, for whoever looks at it on the way out. */
const sent = (status: number): Response => new Response(null, { status, headers: { "x-hono-already-sent": "true" } });
const SENT = { 200: sent(200), 201: sent(201) } as const;

/**
 * Answer, with the headers that were set before; those set later come too late. Nothing happens when the client has gone. Not for GET, which
 * may be HEAD.
 */
export function sendJson(c: Ctx, value: object, status: keyof typeof SENT): Response {
  const { outgoing } = c.env;
  const text = JSON.stringify(value);
  for (const [name, said] of c.res.headers) outgoing.setHeader(name, said);
  outgoing.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  outgoing.end(text);
  return SENT[status];
}
