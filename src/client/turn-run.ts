/**
 * A turn whose events are followed as it runs.
 *
 *   C1. Until the server has let the turn in, the request is sent again as any other. From then on it never is: events would come twice.
 */
import type { EventEnvelope } from "../protocol/events.ts";
import type { OnEvent } from "../protocol/requests.ts";
import type { RunResult } from "../protocol/views.ts";
import type { Problem } from "./errors.ts";
import { clientError, errorOfProblem } from "./errors.ts";
import type { Http, HttpCall } from "./http.ts";
import { asClientError } from "./http.ts";
import type { ServerEvent } from "./sse.ts";
import { isEventStream, SseReader } from "./sse.ts";
import { unlessAborted } from "./waiting.ts";

export interface TurnListeners {
  /**
   * Called in order; a promise it returns is awaited, and holds the connection back: until it settles, or the call's signal aborts, nobody
   * sees the result. What it throws detaches it.
   */
  readonly onEvent?: OnEvent | undefined;
  /** The turn runs: its ticket, for `interrupt`. */
  readonly onAdmitted?: ((ticket: number) => void) | undefined;
  /** It waits behind others: how many are ahead. */
  readonly onQueued?: ((position: number) => void) | undefined;
}

type Outcome = { readonly result: RunResult } | { readonly error: unknown };

export async function runTurn(http: Http, call: HttpCall, listeners: TurnListeners): Promise<RunResult> {
  const headers = { accept: "text/event-stream, application/json;q=0.5" };
  const outcome = await http.send({ ...call, headers }, (response) => follow(response, { ...listeners }, call));
  if ("error" in outcome) throw outcome.error;
  return outcome.result;
}

/** C1: rejects only while nothing has come. */
async function follow(response: Response, listeners: Mutable<TurnListeners>, { signal }: HttpCall): Promise<Outcome> {
  if (!isEventStream(response)) return { result: (await response.json()) as RunResult }; // of an earlier request with the same key
  const reader = new SseReader(response);
  let hasBegun = false;
  try {
    for (let event; (event = await reader.next()) !== undefined;) {
      hasBegun = true;
      const outcome = await take(event, listeners, signal);
      if (outcome === undefined) continue;
      await reader.finish();
      return outcome;
    }
    throw new Error("it ended without a result");
  } catch (error) {
    if (!hasBegun || signal?.aborted === true) throw error;
    return { error: clientError("STREAM_CUT", `the turn's events were cut off: ${asClientError(error).message}`, error) };
  } finally {
    await reader.leave();
  }
}

async function take(
  { event, data }: ServerEvent,
  listeners: Mutable<TurnListeners>,
  signal: AbortSignal | undefined,
): Promise<Outcome | undefined> {
  const value = JSON.parse(data) as unknown;
  if (event === "result") return { result: value as RunResult };
  if (event === "problem") return { error: errorOfProblem(value as Problem) };
  if (event === "admitted") listeners.onAdmitted?.((value as { ticket: number }).ticket);
  else if (event === "queued") listeners.onQueued?.((value as { position: number }).position);
  else if (event === undefined || event === "gap") {
    const told = tell(value as EventEnvelope, listeners);
    if (told !== undefined) await unlessAborted(told, signal);
  }
  return undefined;
}

/** @returns what is to be waited for; undefined: nothing, as for most events. Neither throws nor rejects */
function tell(envelope: EventEnvelope, listeners: Mutable<TurnListeners>): Promise<void> | undefined {
  const detach = (): void => (listeners.onEvent = undefined); // the turn goes on without it
  try {
    const told = listeners.onEvent?.(envelope);
    return told === undefined ? undefined : Promise.resolve(told).catch(detach);
  } catch {
    detach();
    return undefined;
  }
}

type Mutable<T> = { -readonly [M in keyof T]: T[M] };
