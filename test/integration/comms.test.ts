/** Messages between sessions by name: who may send, in which order they arrive, what waits, and how every wait ends. */
import { describe, expect, test } from "vitest";

import type { RunResult } from "../../dist/src/index.js";
import { codeOf, deferred, errorOf, hosts, kindOf, settled, sharedHost, sleep, until } from "../helpers/hosts.ts";
import { PEERS, fresh, ingress, pair, peer, run } from "../helpers/peers.ts";

describe("beside others", () => {
  const host = sharedHost({ agent: PEERS });

  test("a session that does not ask has no line, and offers no handles", async () => {
    const id = await deferred(host());
    expect(await run(host(), id, ["has"])).toEqual(["undefined"]);
    expect(await host().commsRuntime(id)).toBeUndefined();
    expect(await host().eventInjector(id)).toBeUndefined();
  });

  test("a message, a request and its response arrive with their sender's name, and receipts say what was sent", async () => {
    const { a, b, ids } = await pair(host());
    const got = run(host(), ids[1], ["receive"], ["receive"]);
    const sent = await run(
      host(),
      ids[0],
      ["send", { kind: "peer_message", to: b, body: { text: "hello", from: "somebody else" } }],
      ["send", { kind: "peer_request", to: b, intent: "review", params: [1, 2] }],
    );
    expect(sent).toEqual([`peer_message to ${b}`, `peer_request to ${b}`]);
    const [message, request] = (await got) as { id: string }[];
    expect(message).toEqual({ id: expect.any(String), kind: "peer_message", from: a, body: { text: "hello", from: "somebody else" } });
    expect(request).toEqual({ id: expect.any(String), kind: "peer_request", from: a, intent: "review", params: [1, 2] });
    await run(host(), ids[1], ["send", { kind: "peer_response", to: a, inReplyTo: request?.id, status: "completed", result: "fine" }]);
    expect(await run(host(), ids[0], ["drain"])).toMatchObject([
      [{ kind: "peer_response", from: b, inReplyTo: request?.id, status: "completed", result: "fine" }],
    ]);
  });

  test("10,000 messages between two lanes arrive in order, each once; a sender that is faster than the agent waits", async () => {
    const { a, b, ids } = await pair(host());
    const COUNT = 10_000;
    const sending = run(host(), ids[0], ["sendMany", b, COUNT, 256]);
    // Nobody takes anything yet: what the inbox holds has gone, the rest waits.
    await until("the inbox is full", async () => (await ingress(host(), ids[1])).queue.total >= 1024);
    expect((await ingress(host(), ids[1])).queue.total).toBe(1024);
    await sleep(50);
    const taking = run(host(), ids[1], ["takeMany", COUNT, 500]);
    expect(await settled(taking)).toEqual([{ counts: { [a]: COUNT } }]);
    const [longestMs] = (await settled(sending)) as [number];
    expect(longestMs).toBeGreaterThan(40);
    expect((await run(host(), ids[1], ["drain"]))[0]).toEqual([]);
  });

  test("both ways at once, with several senders: each pair in its order", async () => {
    const [a, b, c] = fresh("a", "b", "c") as [string, string, string];
    const ids = await Promise.all([
      deferred(host(), peer(a, [b, c])),
      deferred(host(), peer(b, [a, c])),
      deferred(host(), peer(c, [a, b])),
    ]);
    const all = await settled(
      Promise.all([
        run(host(), ids[0], ["sendMany", b, 2000, 64]).then(() => run(host(), ids[0], ["takeMany", 2000])),
        run(host(), ids[1], ["takeMany", 4000]),
        run(host(), ids[2], ["sendMany", b, 2000, 64], ["sendMany", a, 2000, 64]),
      ]),
    );
    expect(all.slice(0, 2)).toEqual([[{ counts: { [c]: 2000 } }], [{ counts: { [a]: 2000, [c]: 2000 } }]]);
  });

  test("bytes count too: 8 MiB of messages are let in, the rest waits", async () => {
    const { a, b, ids } = await pair(host());
    const sending = run(host(), ids[0], ["sendMany", b, 20, 20, 900_000]);
    await until("messages wait", async () => (await ingress(host(), ids[1])).queue.total === 9);
    await sleep(50);
    expect((await ingress(host(), ids[1])).queue.total).toBe(9);
    expect(await run(host(), ids[1], ["takeMany", 20])).toEqual([{ counts: { [a]: 20 } }]);
    await settled(sending);
  });

  test("what may not be sent is refused, typed", async () => {
    const [a, b, c] = fresh("a", "b", "c") as [string, string, string];
    const id = await deferred(host(), peer(a, [b, c]));
    await deferred(host(), peer(c));
    const message = (to: string, body: unknown = 1): [string, unknown] => ["send", { kind: "peer_message", to, body }];
    expect(
      await run(
        host(),
        id,
        message("stranger"),
        message(b),
        message(c),
        ["say", c, "x".repeat(1_100_000)],
        ["send", { kind: "peer_message", to: b }],
        ["send", { kind: "carrier_pigeon", to: b }],
        ["send", { kind: "peer_response", to: b, inReplyTo: "1", status: "maybe" }],
        ["trust", ""],
      ),
    ).toEqual([
      "comms_peer_not_found",
      "comms_peer_offline",
      "comms_peer_not_sendable",
      "comms_validation",
      "comms_validation",
      "comms_validation",
      "comms_validation",
      "comms_validation",
    ]);
  });

  test("trust is given and taken while a session lives; peers are those that are trusted and there", async () => {
    const [a, b] = fresh("a", "b") as [string, string];
    const first = await deferred(host(), peer(a));
    const meta = { description: "answers", labels: { team: "x" } };
    const second = await deferred(host(), peer(b, [a], { peerMeta: meta }));
    expect(await run(host(), first, ["peers"], ["trust", b], ["trust", "nobody"], ["peers"], ["say", b, 1])).toEqual([
      [],
      null,
      null,
      [{ name: b, ...meta }],
      "sent",
    ]);
    expect(await run(host(), second, ["distrust", a], ["distrust", a])).toEqual([true, false]);
    expect(await run(host(), first, ["say", b, 2], ["distrust", b], ["say", b, 3])).toEqual([
      "comms_peer_not_sendable",
      true,
      "comms_peer_not_found",
    ]);
    expect((await ingress(host(), first)).trustedPeers).toEqual(["nobody"]);
  });

  test("realms do not see each other", async () => {
    const [a, b] = fresh("a", "b") as [string, string];
    const id = await deferred(host(), peer(a, [b], { realmId: "one" }));
    await deferred(host(), peer(b, [a], { realmId: "two" }));
    await deferred(host(), peer(a, [b], { realmId: "two" }));
    expect(await run(host(), id, ["say", b, 1])).toEqual(["comms_peer_offline"]);
  });

  test("a name that a live session has is refused before anything is built, and free when it leaves", async () => {
    const [a] = fresh("a") as [string];
    const created = await Promise.allSettled([deferred(host(), peer(a)), deferred(host(), peer(a))]);
    expect(created.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const { live } = host().inspect().sessions;
    expect((await errorOf(deferred(host(), peer(a)))).details).toMatchObject({ field: "request.build.commsName" });
    expect(host().inspect().sessions.live).toBe(live);
    const id = created.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []))[0] as string;
    await host().archive(id);
    expect(await codeOf(deferred(host(), peer(a)))).toBe("ok");
  });

  test("what is asked for is checked, by name of the field", async () => {
    const fieldOf = async (build: Record<string, unknown>): Promise<unknown> =>
      (await errorOf(deferred(host(), { build }))).details?.["field"];
    expect(await fieldOf({ commsName: "" })).toBe("request.build.commsName");
    expect(await fieldOf({ commsName: "x".repeat(257) })).toBe("request.build.commsName");
    expect(await fieldOf({ commsName: "x", trustedPeers: "y" })).toBe("request.build.trustedPeers");
    expect(await fieldOf({ commsName: "x", trustedPeers: ["y", 1] })).toBe("request.build.trustedPeers.1");
    expect(await fieldOf({ commsName: "x", peerMeta: { color: "red" } })).toBe("request.build.peerMeta.color");
    expect(await fieldOf({ commsName: "x", realmId: 1 })).toBe("request.build.realmId");
  });

  test("sends that wait end when their recipient leaves", async () => {
    const { b, ids } = await pair(host());
    const sending = run(host(), ids[0], ["sendAll", b, 1024], ["sendAll", b, 100]);
    await until("the inbox is full", async () => (await ingress(host(), ids[1])).queue.total === 1024);
    await host().archive(ids[1]);
    expect(await settled(sending)).toEqual([{ sent: 1024 }, { comms_peer_offline: 100 }]);
  });

  test("a send that waits ends with its turn's interrupt, and with its own signal; what follows arrives in order", async () => {
    const { a, b, ids } = await pair(host());
    expect(await run(host(), ids[0], ["sendAll", b, 1024])).toEqual([{ sent: 1024 }]);
    expect(await run(host(), ids[0], ["sendFor", 30, b, "never"])).toEqual(["TimeoutError"]);
    const waiting = host().startTurn(ids[0], { prompt: JSON.stringify([["say", b, "never"]]) });
    await sleep(30);
    await host().interrupt(ids[0]);
    expect(await kindOf(settled(waiting))).toBe("cancelled");
    expect(await run(host(), ids[1], ["takeMany", 1024])).toEqual([{ counts: { [a]: 1024 } }]);
    expect(await run(host(), ids[0], ["say", b, "after"])).toEqual(["sent"]);
    expect((await run(host(), ids[1], ["drain"]))[0]).toMatchObject([{ body: "after" }]);
  });

  test("a receive that waits ends with its turn's interrupt, and with its own signal", async () => {
    const { a, b, ids } = await pair(host());
    expect(await run(host(), ids[1], ["receiveFor", 20])).toEqual(["TimeoutError"]);
    const waiting = host().startTurn(ids[1], { prompt: JSON.stringify([["receive"]]) });
    await sleep(30);
    await host().interrupt(ids[1]);
    expect(await kindOf(settled(waiting))).toBe("cancelled");
    await run(host(), ids[0], ["say", b, 1]);
    expect((await run(host(), ids[1], ["drain"]))[0]).toMatchObject([{ from: a, body: 1 }]);
  });

  test("a receive that waits ends, typed, when its session is archived", async () => {
    const { ids } = await pair(host());
    const waiting = run(host(), ids[0], ["receive"], ["say", "anybody", 1]);
    await sleep(30);
    await host().archive(ids[0]);
    expect(await settled(waiting)).toEqual(["comms_input_closed", "comms_input_closed"]);
  });

  test("a session sends no more than 1,024 at once", async () => {
    const { b, ids } = await pair(host());
    expect(await run(host(), ids[0], ["sendAll", b, 1024])).toEqual([{ sent: 1024 }]);
    const sending = run(host(), ids[0], ["sendAll", b, 1100]);
    await sleep(50);
    await host().archive(ids[1]);
    expect(await settled(sending)).toEqual([{ comms_input_full: 76, comms_peer_offline: 1024 }]);
  });

  test("handles reach the lane's line: an inject is an interaction, a full or closed inbox an answer", async () => {
    const [a, b] = fresh("a", "b") as [string, string];
    const id = await deferred(host(), peer(a, [b]));
    const other = await deferred(host(), peer(b, [a]));
    const injector = await host().eventInjector(id);
    expect(await injector?.inject("one", "webhook")).toBe("ok");
    await run(host(), other, ["say", a, "two"]);
    expect(await injector?.inject("three", "tcp")).toBe("ok");
    expect((await run(host(), id, ["drain"]))[0]).toMatchObject([
      { kind: "input", source: "webhook", body: "one" },
      { kind: "peer_message", from: b, body: "two" },
      { kind: "input", source: "tcp", body: "three" },
    ]);
    const outcomes = await Promise.all(Array.from({ length: 1000 }, async () => injector?.inject("x", "rpc")));
    expect(new Set(outcomes)).toEqual(new Set(["ok"]));
    for (let i = 0; i < 24; i++) expect(await injector?.inject("x", "rpc")).toBe("ok");
    expect(await injector?.inject("x", "rpc")).toBe("full");
    const comms = await host().commsRuntime(id);
    expect(await comms?.send({ kind: "peer_message", to: b, body: "from outside" })).toMatchObject({ kind: "peer_message", to: b });
    expect(await kindOf(comms?.send({ kind: "input", body: 1 }) as Promise<unknown>)).toBe("comms_input_full");
    expect(await kindOf(comms?.send({ kind: "peer_message", to: "stranger", body: 1 }) as Promise<unknown>)).toBe("comms_peer_not_found");
    expect(await comms?.peerCount()).toBe(1);
    expect(await comms?.drainMessages()).toHaveLength(1024);
    expect(await comms?.dismissReceived()).toBe(false);
    await comms?.addTrustedPeer({ name: "c" });
    expect(await comms?.removeTrustedPeer("c")).toBe(true);
    expect((await run(host(), other, ["drain"]))[0]).toMatchObject([{ from: a, body: "from outside" }]);
  });
});

describe("on a host of its own", () => {
  const openHost = hosts();
  const open = (options = {}) => openHost({ agent: PEERS, lanes: { count: 2 }, ...options });

  test("sends that wait end when the lane of their recipient, or of their sender, is lost", async () => {
    const service = await open();
    const { b, ids } = await pair(service);
    expect(await run(service, ids[0], ["sendAll", b, 1024])).toEqual([{ sent: 1024 }]);
    const sending = run(service, ids[0], ["sendAll", b, 10]);
    await sleep(50);
    expect(await kindOf(service.startTurn(ids[1], { prompt: '[["exit"]]' }))).toBe("lane_lost");
    expect(await settled(sending)).toEqual([{ comms_peer_offline: 10 }]);

    const [c, d] = fresh("c", "d") as [string, string];
    const sender = await deferred(service, { ...peer(c, [d]), isolation: "dedicated" });
    const recipient = await deferred(service, peer(d, [c]));
    expect(await run(service, sender, ["sendAll", d, 1024])).toEqual([{ sent: 1024 }]);
    expect(await kindOf(settled(service.startTurn(sender, { prompt: JSON.stringify([["sendAndExit", d]]) })))).toBe("lane_lost");
    expect(await run(service, recipient, ["takeMany", 1024])).toEqual([{ counts: { [c]: 1024 } }]);
    expect((await run(service, recipient, ["drain"]))[0]).toEqual([]); // what had waited is gone with its sender
    expect(await codeOf(deferred(service, peer(c)))).toBe("ok"); // its name is free
  });

  test("shutdown ends every wait", async () => {
    const service = await open();
    const { b, ids } = await pair(service);
    expect(await run(service, ids[0], ["sendAll", b, 1024])).toEqual([{ sent: 1024 }]);
    const waits = [
      service.startTurn(ids[0], { prompt: JSON.stringify([["say", b, 1]]) }),
      service.startTurn(ids[1], { prompt: JSON.stringify([["drain"], ["receive"], ["receive"]]) }),
    ];
    await sleep(50);
    const ended = Promise.all(waits.map((wait: Promise<RunResult>) => codeOf(wait)));
    await settled(service.shutdown({ deadlineMs: 0 }));
    for (const code of await settled(ended)) expect(["ok", "AGENT_ERROR", "HOST_CLOSED"]).toContain(code);
  });
});
