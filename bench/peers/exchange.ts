/** One party of an exchange of messages between two threads, whatever carries them: the load it makes, and what it measures. */
import { closedLoop, oneAtATime } from "../harness/load.ts";

/** Of every message, and of every answer. */
export const EXCHANGED = "x".repeat(200);
/** Exchanges of a lone caller that are timed. */
const LONE = 2000;

/** "request": to whom the answer comes as a message of its own. "message": until it is in the other's inbox. */
export type Way = "request" | "message";
export type PeerOrder =
  | { readonly role: "answer" }
  | { readonly role: "send"; readonly to: string; readonly way: Way; readonly inFlight: number; readonly durationMs: number };

export interface Exchanged {
  readonly perSecond: number;
  /** Microseconds, of a lone caller. */
  readonly p50Us?: number;
  readonly p99Us?: number;
}

export async function measureExchange(exchange: () => Promise<unknown>, inFlight: number, durationMs: number): Promise<Exchanged> {
  if (inFlight > 1) return { perSecond: (await closedLoop(exchange, inFlight, durationMs)).perSecond };
  const startedAt = performance.now();
  const latencies = await oneAtATime(exchange, LONE);
  const perSecond = LONE / ((performance.now() - startedAt) / 1000);
  return { perSecond, p50Us: latencies.getValueAtPercentile(50) / 1000, p99Us: latencies.getValueAtPercentile(99) / 1000 };
}
