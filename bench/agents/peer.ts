/** Sends messages to another session and times them in its own lane, or answers whatever comes. Prompts: PeerOrder. */
import { defineAgent } from "../../src/agent.ts";
import type { LaneComms } from "../../src/agent.ts";
import type { PeerOrder } from "../peers/exchange.ts";
import { EXCHANGED, measureExchange } from "../peers/exchange.ts";

export default defineAgent(async ({ prompt, comms }) => {
  if (comms === undefined) throw new Error("it has no line to its peers");
  const order = JSON.parse(prompt) as PeerOrder;
  return order.role === "answer" ? answerAll(comms) : JSON.stringify(await send(comms, order));
});

/** Until the turn is interrupted. */
async function answerAll(comms: LaneComms): Promise<never> {
  for (;;) {
    const { kind, from, id } = (await comms.receive()) as { kind: string; from: string; id: string };
    if (kind === "peer_request")
      void comms.send({ kind: "peer_response", to: from, inReplyTo: id, status: "completed", result: EXCHANGED });
  }
}

async function send(comms: LaneComms, { to, way, inFlight, durationMs }: Extract<PeerOrder, { role: "send" }>): Promise<object> {
  if (way === "message") {
    return measureExchange(() => comms.send({ kind: "peer_message", to, body: EXCHANGED }), inFlight, durationMs);
  }
  const answers = new Answers();
  const ended = new AbortController();
  const reading = (async () => {
    for (;;) answers.came(((await comms.receive({ signal: ended.signal })) as { inReplyTo: string }).inReplyTo);
  })();
  reading.catch(() => {}); // its end is that the controller aborts
  const request = async (): Promise<void> => {
    const { id } = await comms.send({ kind: "peer_request", to, intent: "echo", params: EXCHANGED });
    await answers.to(id as string);
  };
  const measured = await measureExchange(request, inFlight, durationMs);
  ended.abort();
  return measured;
}

/** Answers by the request they answer; one may come before its request is known to have arrived. */
class Answers {
  readonly #early = new Set<string>();
  readonly #awaited = new Map<string, () => void>();

  came(request: string): void {
    const resolve = this.#awaited.get(request);
    this.#awaited.delete(request);
    if (resolve === undefined) this.#early.add(request);
    else resolve();
  }

  async to(request: string): Promise<void> {
    if (!this.#early.delete(request)) await new Promise<void>((resolve) => this.#awaited.set(request, resolve));
  }
}
