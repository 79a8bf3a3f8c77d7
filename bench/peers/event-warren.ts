/** Warren's events: as a subscriber of every session sees them, or as each turn's own consumer does. */
import type { SessionEventStream } from "../../src/index.ts";
import type { EventPeer, EventTally, OpenEventPeer } from "./event-peer.ts";
import { callingPeer } from "./event-peer.ts";
import type { TextDelta } from "./event-work.ts";
import { promptOf } from "./event-work.ts";
import { openWarren } from "./warren.ts";

/** Envelopes in a subscriber's ring: more than the largest frame, so that a reader who keeps up loses none. */
const BUFFER_SIZE = 4096;

/** One session for every turn at once. */
export function warrenEvents(latency: "balanced" | "low", via: "subscriber" | "onEvent"): OpenEventPeer {
  return async (load, tally): Promise<EventPeer> => {
    const peer = await openWarren({ agentName: "events", sessions: load.inFlight, latency });
    const { service, ids } = peer;
    const prompt = promptOf(load);
    const onEvent = ({ payload }: { payload: object }): void => tally.consume(payload as TextDelta);
    const request = via === "onEvent" ? { prompt, onEvent } : { prompt };
    if (via === "subscriber") {
      for (const id of ids) {
        readAll(service.subscribeSessionEvents(id, { bufferSize: BUFFER_SIZE }), tally).catch((error: unknown) => tally.fail(error));
      }
    }
    const turn = (caller: number) => service.startTurn(ids[caller] as string, request);
    return callingPeer(turn, load.inFlight, async () => peer[Symbol.asyncDispose]());
  };
}

/** @throws Error when the subscriber lost an event: a gap marker has no number */
async function readAll(stream: SessionEventStream, tally: EventTally): Promise<void> {
  for await (const { seq, payload } of stream) {
    if (seq === 0) throw new Error(`a subscriber lost events: ${JSON.stringify(payload)}`);
    tally.consume(payload as TextDelta);
  }
}
