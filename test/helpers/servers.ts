/** HTTP servers for tests, and plain requests to them. Every server opened here is closed before its service is shut down. */
import { afterAll, afterEach, beforeAll, expect } from "vitest";

import type { EventEnvelope } from "../../dist/src/index.js";
import type { Problem, ServableService, ServerOptions } from "../../dist/src/server/index.js";
import { WarrenServer } from "../../dist/src/server/index.js";

/** @returns a way to serve services of one test; call it behind `hosts()` or `persistentHosts()`, whose shutdown comes after it then */
export function servers(): (service: ServableService, options?: ServerOptions) => Promise<Api> {
  const open: WarrenServer[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });
  return async (service, options = {}) => {
    const server = await WarrenServer.start(service, { port: 0, ...options });
    open.push(server);
    return new Api(server);
  };
}

/** @returns the one server of a file's shared host, for stories that do not disturb each other; call it behind `sharedHost()` */
export function sharedServer(service: () => ServableService): () => Api {
  let api: Api;
  beforeAll(async () => {
    api = new Api(await WarrenServer.start(service(), { port: 0 }));
  });
  afterAll(() => api.server.close());
  return () => api;
}

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** Requests to one server, as a client without a library makes them. */
export class Api {
  readonly server: WarrenServer;

  constructor(server: WarrenServer) {
    this.server = server;
  }

  get url(): string {
    return this.server.url;
  }

  get<T = Record<string, unknown>>(path: string, init: RequestInit = {}): Promise<Answer<T>> {
    return this.#ask<T>(path, init);
  }

  post<T = Record<string, unknown>>(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer<T>> {
    const content: RequestInit =
      body === undefined ? { headers } : { body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
    return this.#ask<T>(path, { method: "POST", ...content });
  }

  delete(path: string): Promise<Answer> {
    return this.#ask(path, { method: "DELETE" });
  }

  async #ask<T>(path: string, init: RequestInit): Promise<Answer<T>> {
    const response = await fetch(this.url + path, init);
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as T };
  }

  /** Create a session without a turn. @returns its id */
  async session(body: Record<string, unknown> = {}): Promise<string> {
    const { status, body: result } = await this.post<{ sessionId: string }>("/v1/sessions", { initialTurn: "defer", ...body });
    expect(status).toBe(201);
    return result.sessionId;
  }

  /** Run a turn as a stream. @returns what it says, as it comes */
  async stream(path: string, body: unknown): Promise<Sse> {
    const headers = { accept: "text/event-stream", "content-type": "application/json" };
    return Sse.of(await fetch(this.url + path, { method: "POST", body: JSON.stringify(body), headers }));
  }

  async events(id: string, after?: number | string): Promise<Sse> {
    return Sse.of(
      await fetch(`${this.url}/v1/sessions/${id}/events`, after === undefined ? {} : { headers: { "last-event-id": String(after) } }),
    );
  }
}

/** One server-sent event. */
export interface SseEvent {
  readonly event: string;
  readonly id?: string;
  readonly data: unknown;
}

/** A stream of server-sent events, read by hand: the format is part of what is tested. */
export class Sse {
  readonly response: Response;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  private constructor(response: Response) {
    this.response = response;
    this.#reader = (response.body as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream()).getReader();
  }

  static of(response: Response): Sse {
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    return new Sse(response);
  }

  /** The next event that is not a comment; undefined at the end. */
  async next(): Promise<SseEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        if (!block.includes("data:")) continue; // a comment, or how long to wait before coming back
        return parsed(block);
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
  }

  async rest(): Promise<SseEvent[]> {
    const events: SseEvent[] = [];
    for (let event; (event = await this.next()) !== undefined;) events.push(event);
    return events;
  }

  /** Envelopes until one has that number. */
  async upTo(seq: number): Promise<EventEnvelope[]> {
    const envelopes: EventEnvelope[] = [];
    for (let event; envelopes.at(-1)?.seq !== seq && (event = await this.next()) !== undefined;)
      envelopes.push(event.data as EventEnvelope);
    return envelopes;
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }
}

function parsed(block: string): SseEvent {
  const fields = new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)] as const));
  const id = fields.get("id");
  return { event: fields.get("event") ?? "message", ...(id !== undefined && { id }), data: JSON.parse(fields.get("data") ?? "null") };
}

/** Checks that an answer is the problem document of a code. */
export function expectProblem(answer: Answer, status: number, code: string): Problem {
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer).toMatchObject({ status, body: { status, code, type: `urn:warren:error:${code}` } });
  return answer.body as unknown as Problem;
}
