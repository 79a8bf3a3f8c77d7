/**
 * Headers that are settled before there is an answer. They go onto Node's own response, where an answer's headers are put on top of them:
 * a stream that is written past the framework has them too, and no answer is made twice for their sake.
 */
import type { Context } from "hono";

interface Outgoing {
  readonly headersSent: boolean;
  setHeader(name: string, value: string): unknown;
}

/** Too late once the answer has begun: then it does nothing. */
export function sayAhead(c: Context, name: string, value: string): void {
  const { outgoing } = (c.env ?? {}) as { outgoing?: Outgoing };
  if (outgoing === undefined) c.header(name, value); // an app without a server, in a test
  else if (!outgoing.headersSent) outgoing.setHeader(name, value);
}
