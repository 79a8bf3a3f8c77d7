/**
 * The same small work for every peer: a call with a session's id and a prompt, answered with what Warren's turns are answered with.
 * Only Warren has sessions; to a peer the id is just part of the payload.
 */
import { closedLoop } from "../harness/load.ts";
import { pickFastest } from "./fastest.ts";

export interface CallRequest {
  readonly sessionId: string;
  readonly prompt: string;
}

export interface CallResult {
  readonly text: string;
  readonly sessionId: string;
  readonly turns: number;
  readonly toolCalls: number;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number };
}

export interface CallPeer {
  /** How it is set up. */
  readonly setup?: string;
  call(request: CallRequest): Promise<CallResult>;
  close(): Promise<void>;
}

/** What every peer's worker does. */
export function answer({ sessionId, prompt }: CallRequest): CallResult {
  return { text: prompt, sessionId, turns: 1, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } };
}

/** Milliseconds of each trial. */
const TRIAL_MS = 150;

/**
 * A peer with more than one sensible configuration: tries each under the load it will get and keeps the fastest.
 *
 * @param configurations - what to try, by the name the results give it
 * @param inFlight - calls at once
 * @param prompt - of every call
 */
export async function fastestOf<C>(
  configurations: Readonly<Record<string, C>>,
  open: (configuration: C) => Promise<CallPeer>,
  inFlight: number,
  prompt = "",
): Promise<CallPeer> {
  const request: CallRequest = { sessionId: "019a9f00-0000-7000-8000-000000000000", prompt };
  const { peer, setup } = await pickFastest(configurations, open, async (tried) => {
    await closedLoop(() => tried.call(request), inFlight, TRIAL_MS); // warm-up
    return (await closedLoop(() => tried.call(request), inFlight, TRIAL_MS)).perSecond;
  });
  return { setup, call: (asked) => peer.call(asked), close: () => peer.close() };
}

/** Matches answers to calls by number, for peers that only have messages. */
export class PendingCalls {
  readonly #waiting = new Map<number, (result: CallResult) => void>();
  #last = 0;

  /** @param send - sends the call of this number */
  open(send: (id: number) => void): Promise<CallResult> {
    return new Promise((resolve) => {
      const id = ++this.#last;
      this.#waiting.set(id, resolve);
      send(id);
    });
  }

  settle(id: number, result: CallResult): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(result);
  }
}
