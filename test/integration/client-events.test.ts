/** Following a session through `warren/client`, over a network that cuts connections. */
import { afterEach, describe, expect, test } from "vitest";

import type { EventEnvelope, SessionEvents } from "../../dist/src/client/index.js";
import { WarrenClient } from "../../dist/src/client/index.js";
import type { CuttingProxy } from "../helpers/cutting-proxy.ts";
import { cuttingProxy } from "../helpers/cutting-proxy.ts";
import { hosts, script, settled, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";
import { clientErrorOf, servers } from "../helpers/clients.ts";

const openEphemeral = hosts();
const { open: openPersistent } = persistentHosts();
const serve = servers();
const proxies: CuttingProxy[] = [];
afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

const cutting = async (port: number, seed: number, bytesMax: number): Promise<{ proxy: CuttingProxy; client: WarrenClient }> => {
  const proxy = await cuttingProxy(port, randomOf(seed), bytesMax);
  proxies.push(proxy);
  return { proxy, client: new WarrenClient({ url: proxy.url }) };
};

/** @returns envelopes up to number `last` */
const readTo = async (events: SessionEvents, last: number): Promise<EventEnvelope[]> => {
  const seen: EventEnvelope[] = [];
  for await (const envelope of events) {
    seen.push(envelope);
    if (envelope.seq === last) break;
  }
  return seen;
};
const droppedOf = ({ payload }: EventEnvelope): number => (payload as unknown as { reason: { dropped: number } }).reason.dropped;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("F1: connections are cut at random", () => {
  test.each([1, 2, 3])("with an event log nothing is missing, nothing comes twice (seed %i)", async (nth) => {
    const { client, server } = await serve(await openPersistent({ events: "log" }));
    const { proxy, client: cut } = await cutting(server.port, CRASH_SEED + nth, 50_000);
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const reading = readTo(cut.events(sessionId, { after: 0 }), 800);
    for (let i = 0; i < 8; i++) await client.startTurn(sessionId, { prompt: script(["emit", 100]) });
    const seen = await settled(reading, `seed ${CRASH_SEED + nth}`);
    expect(
      seen.map(({ seq }) => seq),
      `seed ${CRASH_SEED + nth}`,
    ).toEqual(numbers(1, 800));
    expect(proxy.cuts).toBeGreaterThan(2);
  });

  test.each([1, 2, 3])("without one a gap says exactly what is missing (seed %i)", async (nth) => {
    const { client, server } = await serve(await openEphemeral());
    const { proxy, client: cut } = await cutting(server.port, CRASH_SEED + nth, 60_000);
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const reading = readTo(cut.events(sessionId, { after: 0 }), 6000);
    for (let i = 0; i < 6; i++) await client.startTurn(sessionId, { prompt: script(["emit", 1000]) });
    const seen = await settled(reading, `seed ${CRASH_SEED + nth}`);
    let position = 0;
    for (const envelope of seen) {
      position += envelope.seq === 0 ? droppedOf(envelope) : 1;
      if (envelope.seq !== 0) expect(envelope.seq, `seed ${CRASH_SEED + nth}`).toBe(position);
    }
    expect(position).toBe(6000);
    expect(proxy.cuts).toBeGreaterThan(0);
  });

  test("F2: a gap ahead of which the connection ends is told once", async () => {
    const { client } = await serve(await openEphemeral());
    const { sessionId } = await client.createSession({ prompt: script(["emit", 10]) });
    const [gap, first] = await Promise.all([
      readTo(client.events(sessionId, { after: 4 }), 11),
      until("it is followed", async () => (await client.host()).subscribers > 0).then(() =>
        client.startTurn(sessionId, { prompt: script(["emit", 1]) }),
      ),
    ]).then(([seen]) => seen);
    expect([gap?.seq, gap && droppedOf(gap), first?.seq]).toEqual([0, 6, 11]);
  });
});

describe("F3: following ends", () => {
  test("with the session", async () => {
    const { client } = await serve(await openEphemeral());
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const events = client.events(sessionId);
    const first = events.next();
    await until("it is followed", async () => (await client.host()).subscribers > 0);
    await client.archive(sessionId);
    expect(await settled(first)).toEqual({ done: true, value: undefined });
    expect((await clientErrorOf(client.events(sessionId).next())).code).toBe("SESSION_NOT_FOUND");
  });

  test("when it is left while a read waits, and nothing is left at the server", async () => {
    const { client } = await serve(await openEphemeral());
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const states: string[] = [];
    const events = client.events(sessionId, { onConnection: (state) => states.push(state) });
    const first = events.next();
    await until("it is open", () => states.includes("open"));
    await settled(Promise.resolve(events.return()));
    expect(await settled(first)).toEqual({ done: true, value: undefined });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test("with its signal, also between two connections", async () => {
    const { client, server } = await serve(await openEphemeral());
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const controller = new AbortController();
    const states: string[] = [];
    const first = client.events(sessionId, { signal: controller.signal, onConnection: (state) => states.push(state) }).next();
    await until("it is open", () => states.includes("open"));
    await server.close();
    await until("it waits", () => states.includes("waiting"));
    controller.abort(new Error("enough"));
    await expect(settled(first)).rejects.toThrow("enough");
  });

  test("with a cursor that is none", async () => {
    const { client } = await serve(await openEphemeral());
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    expect(await clientErrorOf(client.events(sessionId, { after: "no such" }).next())).toMatchObject({
      code: "INVALID_PARAMS",
      status: 400,
    });
  });
});
