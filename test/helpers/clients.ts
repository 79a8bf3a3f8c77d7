/** Starting servers for tests. Each is closed when its test ends, before the service it serves. */
import { afterEach } from "vitest";

import type { WarrenClientOptions } from "../../dist/src/client/index.js";
import { WarrenClient, WarrenClientError } from "../../dist/src/client/index.js";
import type { ServableService, ServerOptions } from "../../dist/src/server/index.js";
import { WarrenServer } from "../../dist/src/server/index.js";

export interface Served {
  readonly server: WarrenServer;
  readonly client: WarrenClient;
}

/** Call behind `hosts()`, whose services the servers serve: what is opened last is closed first. */
export function servers(): (service: ServableService, options?: ServerOptions) => Promise<Served> {
  const open: WarrenServer[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });
  return async (service, options = {}) => {
    const server = await WarrenServer.start(service, { port: 0, ...options });
    open.push(server);
    return { server, client: new WarrenClient({ url: server.url }) };
  };
}

/** @returns the WarrenClientError that `call` ends with; anything else fails the test */
export async function clientErrorOf(call: Promise<unknown>): Promise<WarrenClientError> {
  const value = await call.then(
    (result) => result,
    (error: unknown) => error,
  );
  if (value instanceof WarrenClientError) return value;
  throw new Error(`expected an error of the client's, got ${String(value)}`);
}

/** One answer of a server that is not there; or none: the connection fails. */
export type Answer = { status: number; body: unknown; headers?: Record<string, string> } | "cut";

/** @returns a client that is given these answers, one after another, and what it asked */
export function scriptedClient(answers: Answer[], options: Partial<WarrenClientOptions> = {}): { client: WarrenClient; asked: Request[] } {
  const asked: Request[] = [];
  const send: typeof fetch = async (input, init) => {
    asked.push(new Request(input as URL, init));
    const answer = answers.shift();
    if (answer === undefined) throw new Error("asked once more");
    if (answer === "cut") throw new TypeError("fetch failed");
    const { status, body, headers } = answer;
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers: headers ?? {} });
  };
  return { client: new WarrenClient({ url: "http://warren.test/base", fetch: send, ...options }), asked };
}
