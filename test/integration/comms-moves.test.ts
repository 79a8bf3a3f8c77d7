/** Sessions with names that move, sleep and wake: what they keep, what holds them, and what becomes of messages meanwhile. */
import { describe, expect, test } from "vitest";

import { codeOf, deferred, errorOf, hosts, settled, sleep, until } from "../helpers/hosts.ts";
import { PEERS, ingress, laneOf, move, pair, peer, run } from "../helpers/peers.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

const openEphemeral = hosts();
const { open: openKept } = persistentHosts();
const OPTIONS = { agent: PEERS, lanes: { count: 2 } };

describe.each([
  ["ephemeral", () => openEphemeral(OPTIONS)],
  ["persistent", () => openKept(OPTIONS)],
] as const)("a session of an %s host", (_, open) => {
  test("keeps its name and whom it trusts when it moves, and messages that come meanwhile arrive behind the others, each once", async () => {
    const service = await open();
    const { a, b, ids } = await pair(service);
    await run(service, ids[0], ["trust", "later"]);
    expect(await run(service, ids[1], ["trust", "x"], ["distrust", "x"])).toEqual([null, true]);
    for (let round = 0; round < 6; round++) {
      const from = laneOf(service, ids[1]);
      const moving = move(service, ids[1]); // from here on messages for it wait
      const sending = run(service, ids[0], ["sendMany", b, 300, 8]);
      expect(await settled(moving)).toBe(true);
      expect(laneOf(service, ids[1])).not.toBe(from);
      await settled(sending);
      expect(await run(service, ids[1], ["takeMany", 300], ["drain"])).toEqual([{ counts: { [a]: 300 } }, []]);
    }
    expect(await settled(move(service, ids[0]))).toBe(true);
    expect(await run(service, ids[0], ["snapshot"], ["say", b, "after"])).toMatchObject([{ trustedPeers: [b, "later"] }, "sent"]);
    expect(await run(service, ids[1], ["snapshot"], ["drain"])).toMatchObject([{ trustedPeers: [a] }, [{ body: "after" }]]);
  });

  test("is not moved while messages wait for it, or it for one", async () => {
    const service = await open();
    const { b, ids } = await pair(service);
    await run(service, ids[0], ["say", b, 1]);
    expect(await move(service, ids[1])).toBe(false);
    await run(service, ids[1], ["drain"], ["inject", "x"]);
    await sleep(20);
    expect(await move(service, ids[1])).toBe(false);
    await run(service, ids[1], ["drain"]);
    await until("it can be moved", () => move(service, ids[1]));
  });
});

describe("sleep", () => {
  const trusting = ["a", "b"];

  test("a session with messages stays awake; asleep it is offline; awake again it has its name and whom it chose to trust", async () => {
    const service = await openKept(OPTIONS);
    const a = await deferred(service, peer("a", trusting));
    const b = await deferred(service, peer("b", trusting));
    await run(service, a, ["say", "b", 1]);
    expect((await errorOf(service.hibernate(b))).details).toEqual({ reason: "it has messages, or waits for some" });
    await run(service, b, ["drain"], ["trust", "c"], ["distrust", "b"]);
    const injector = await service.eventInjector(b);
    expect((await errorOf(service.hibernate(b))).details).toEqual({ reason: "a handle of its agent is open" });
    await injector?.close();
    await service.hibernate(b);
    expect(await run(service, a, ["say", "b", 2], ["peers"])).toEqual(["comms_peer_offline", [expect.objectContaining({ name: "a" })]]);
    expect(await run(service, b, ["snapshot"], ["drain"])).toMatchObject([{ trustedPeers: ["a", "c"] }, []]);
    expect(await run(service, a, ["say", "b", 3])).toEqual(["sent"]);
    expect((await ingress(service, b)).queue.total).toBe(1);
  });

  test("a session whose agent waits for a message in the background stays awake", async () => {
    const service = await openKept(OPTIONS);
    const a = await deferred(service, peer("a", trusting));
    const b = await deferred(service, peer("b", trusting));
    await run(service, a, ["receiveLater"]);
    await until("it is held", async () => (await codeOf(service.hibernate(a))) === "SESSION_BUSY");
    await run(service, b, ["say", "a", 1]);
    await until("it is not held any more", async () => (await codeOf(service.hibernate(a))) === "ok");
  });

  test("a session whose name another one has taken wakes without its line, and the host says so", async () => {
    const events: unknown[] = [];
    const service = await openKept({ ...OPTIONS, onHostEvent: (event) => void events.push(event) });
    const first = await deferred(service, peer("a", trusting));
    await service.hibernate(first);
    const second = await deferred(service, peer("a", trusting));
    expect(await run(service, first, ["has"], ["say", "a", 1], ["peers"])).toEqual(["object", "comms_unsupported", "comms_unsupported"]);
    expect(events).toContainEqual(
      expect.objectContaining({ type: "comms_name_taken", sessionId: first, details: { name: "a", realm: "" } }),
    );
    await service.hibernate(first);
    await service.archive(second);
    expect(await run(service, first, ["trust", "b"], ["peers"])).toEqual([null, [{ name: "a" }]]);
  });

  test("whom a session trusts no more it does not trust after a life without its line either", async () => {
    const service = await openKept(OPTIONS);
    const first = await deferred(service, peer("a", trusting));
    const comms = await service.commsRuntime(first);
    expect(await comms?.removeTrustedPeer("b")).toBe(true);
    await comms?.close();
    const before = (await run(service, first, ["snapshot"]))[0] as { trustedPeers: string[] };
    await service.hibernate(first);
    const second = await deferred(service, peer("a", trusting));
    await run(service, first, ["has"]);
    await service.hibernate(first);
    await service.archive(second);
    expect(await run(service, first, ["snapshot"])).toMatchObject([{ trustedPeers: before.trustedPeers }]);
  });
});
