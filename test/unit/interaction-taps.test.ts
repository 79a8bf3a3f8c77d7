/** Events of single interactions (E1–E3). */
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { END_WAIT_MAX_MS, InteractionTaps, TAP_EVENTS_MAX } from "../../src/lane/comms/interaction-taps.ts";
import type { AgentEvent } from "../../src/protocol/events.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const delta = (n: number): AgentEvent => ({ type: "text_delta", delta: String(n) });
const END: AgentEvent = { type: "interaction_complete", interactionId: "i", result: "done" };
const TRUNCATED = { type: "stream_truncated", reason: "channel_full" };

function opened(): { taps: InteractionTaps; tap: ReturnType<InteractionTaps["open"]>; lost: string[] } {
  const lost: string[] = [];
  const taps = new InteractionTaps((id) => lost.push(id));
  return { taps, tap: taps.open("i"), lost };
}
async function rest(tap: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of tap) events.push(event);
  return events;
}

test("events come in their order, and the last one ends the stream and the tap", async () => {
  const { taps, tap } = opened();
  const reading = rest(tap);
  tap.event(delta(1));
  tap.event(delta(2));
  await Promise.resolve();
  tap.end(END);
  tap.event(delta(3));
  tap.end(END);
  expect(await reading).toEqual([delta(1), delta(2), END]);
  expect([taps.size, taps.at("i"), await tap.next()]).toEqual([0, undefined, { done: true, value: undefined }]);
});

test("E1: what a slow reader loses is marked once, where it is missing", async () => {
  const { tap } = opened();
  for (let n = 0; n < TAP_EVENTS_MAX + 10; n++) tap.event(delta(n));
  for (let n = 0; n < 5; n++) expect(await tap.next()).toEqual({ done: false, value: delta(n) });
  tap.event(delta(-1));
  tap.end(END);
  const seen = await rest(tap);
  expect(seen.slice(0, 2)).toEqual([delta(5), delta(6)]);
  expect(seen.slice(TAP_EVENTS_MAX - 5)).toEqual([TRUNCATED, delta(-1), END]);
});

test("E2: the last event waits for room, and comes behind the marker of what was lost", async () => {
  const { tap, lost } = opened();
  for (let n = 0; n < TAP_EVENTS_MAX + 1; n++) tap.event(delta(n));
  tap.end(END);
  await tap.next();
  await tap.next();
  vi.advanceTimersByTime(END_WAIT_MAX_MS);
  expect((await rest(tap)).slice(-2)).toEqual([TRUNCATED, END]);
  expect([lost, vi.getTimerCount()]).toEqual([[], 0]);
});

test("E2: a last event that nobody makes room for is lost after 5 s, and that is told; the stream ends without it", async () => {
  const { tap, lost } = opened();
  for (let n = 0; n < TAP_EVENTS_MAX; n++) tap.event(delta(n));
  tap.end(END);
  vi.advanceTimersByTime(END_WAIT_MAX_MS - 1);
  expect(lost).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(lost).toEqual(["i"]);
  expect((await rest(tap)).at(-1)).toEqual(delta(TAP_EVENTS_MAX - 1));
});

test("E3: a reader that leaves takes everything with it", async () => {
  const { taps, tap } = opened();
  for (let n = 0; n < TAP_EVENTS_MAX; n++) tap.event(delta(n));
  tap.end(END);
  for await (const _ of tap) break;
  tap.event(delta(0));
  expect([taps.size, vi.getTimerCount(), await tap.next()]).toEqual([0, 0, { done: true, value: undefined }]);
});

test("E3: when the session leaves its readers are told why, waiting or not", async () => {
  const { taps, tap } = opened();
  const [waiting, other] = [tap.next(), taps.open("j")];
  other.event(delta(1));
  taps.close(new Error("it left"));
  await expect(waiting).rejects.toThrow("it left");
  await expect(other.next()).rejects.toThrow("it left");
  await expect(tap.next()).rejects.toThrow("it left");
  expect(taps.size).toBe(0);
});
