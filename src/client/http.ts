/**
 * Requests of a client: built, sent, sent once more where that is right.
 *
 *   R1. A request is sent again only after a failure of the connection or an answer that says "retry"; each POST has an Idempotency-Key, the
 *       same in every attempt, so that a server runs it once.
 *   R2. The attempts are bounded. An answer that the first attempt is still at work is waited out: it ends when that one does.
 *   R3. An answer that waits for a turn may take longer than what carries it has patience for (Node's fetch gives up after 300 s of silence,
 *       some browsers and proxies after 60): such a call goes on waiting with another attempt, and attempts are counted anew. What the server itself has answered is an answer.
 */
import { clientError, errorOfAnswer, WarrenClientError } from "./errors.ts";
import { backOffMs, LinkedAbort, pause } from "./waiting.ts";

/** Milliseconds. An attempt that was silent for so long, and then failed, was waiting. */
const WAITED_MS = 25_000;

export interface HttpSettings {
  /** Ends with a slash. */
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly headers: Readonly<Record<string, string>>;
  readonly retries: number;
}

export interface HttpCall {
  readonly method: "GET" | "POST" | "DELETE";
  /** Relative, with its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly idempotencyKey?: string | undefined;
  /** Unless told otherwise, as the settings say. */
  readonly retries?: number;
  /** The answer may wait for a turn, and waiting again does nothing twice (R3). */
  readonly isLong?: boolean;
}

export class Http {
  readonly #settings: HttpSettings;

  constructor(settings: HttpSettings) {
    this.#settings = settings;
  }

  /** @returns the body of a good answer, as JSON; undefined for one without. Rejects with WarrenClientError, or the signal's reason */
  async json(call: HttpCall): Promise<unknown> {
    return this.send(call, async (response) => {
      const text = await response.text();
      if (response.status === 204 || text === "") return undefined;
      try {
        return JSON.parse(text) as unknown;
      } catch (error) {
        throw clientError("BAD_ANSWER", `the answer to ${call.method} ${call.path} is not JSON`, error);
      }
    });
  }

  /**
   * Send, and read the answer; an attempt is over when `read` is.
   *
   * @param read - what it rejects with is looked at as if the server had said it: failures of the connection are tried again
   */
  async send<T>(call: HttpCall, read: (response: Response) => Promise<T>): Promise<T> {
    const key = call.method === "POST" ? (call.idempotencyKey ?? randomKey()) : undefined;
    const abort = new LinkedAbort(call.signal);
    try {
      for (let attempt = 0, polls = 0, isSecond = false; ; isSecond = true) {
        const sentMs = performance.now();
        try {
          return await read(await this.open(call, abort.signal, key));
        } catch (error) {
          if (abort.signal.aborted) throw abort.signal.reason;
          const failure = asClientError(error);
          // What has gone since the attempt before has gone by it.
          if (isSecond && call.method === "DELETE" && failure.status === 404) return undefined as T;
          if (isSecond && failure.code === "IDEMPOTENCY_IN_PROGRESS") {
            await pause(backOffMs(polls++, failure.retryAfterMs), abort.signal); // R2
            continue;
          }
          if (call.isLong === true && failure.problem === undefined && performance.now() - sentMs >= WAITED_MS) attempt = 0; // R3
          if (failure.disposition !== "retry" || mayHaveRun(failure) || attempt >= (call.retries ?? this.#settings.retries)) throw failure;
          await pause(backOffMs(attempt++, failure.retryAfterMs), abort.signal);
        }
      }
    } finally {
      abort.letGo();
    }
  }

  /** One attempt. @returns a good answer, its body unread. Rejects as `fetch` does, and with WarrenClientError for any other answer */
  async open(call: HttpCall, signal: AbortSignal, key?: string): Promise<Response> {
    const { url, headers, fetch: send } = this.#settings;
    const response = await send(new URL(call.path, url), {
      method: call.method,
      headers: {
        accept: "application/json",
        ...headers,
        ...(call.body !== undefined && { "content-type": "application/json" }),
        ...(key !== undefined && { "idempotency-key": key }),
        ...call.headers,
      },
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
      signal,
    });
    if (!response.ok) throw await errorOfAnswer(response);
    return response;
  }
}

/** A turn of which nobody knows what became of it: only its caller knows whether it may run twice. */
function mayHaveRun({ problem }: WarrenClientError): boolean {
  return problem?.details?.["outcome"] === "unknown";
}

/** What `fetch` and a body's reader reject with is a failure of the connection. */
export function asClientError(error: unknown): WarrenClientError {
  if (error instanceof WarrenClientError) return error;
  const { message, cause } = error as Partial<Error>;
  const said = [message, (cause as Partial<Error> | undefined)?.message].filter((text) => text !== undefined);
  return clientError("CONNECTION_FAILED", `the connection failed: ${said.join(": ")}`, error);
}

/** 128 random bits. `crypto.randomUUID` is missing on pages that are neither local nor encrypted. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
