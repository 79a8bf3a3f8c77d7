/** Handles an agent offers: passed through as async wrappers, and dead, typed, when the session leaves its lane. */
import { describe, expect, test } from "vitest";

import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, hosts, script, settled, sharedHost } from "../helpers/hosts.ts";

const ALL = ["eventInjector", "interactionEventInjector", "commsRuntime"];

describe("beside others", () => {
  const host = sharedHost({ agent: { recording: RECORDING, scripted: SCRIPTED } });
  const withHandles = (handles: string[] = ALL, build = {}): Promise<string> =>
    deferred(host(), { agent: "recording", build: { handles, ...build } });

  test("A33: injecting reaches the agent's inbox, and a full or closed one is an ordinary answer", async () => {
    const id = await withHandles();
    const injector = await host().eventInjector(id);
    expect(await injector?.inject("one", "webhook")).toBe("ok");
    expect(await injector?.inject("two", "rpc")).toBe("ok");
    expect(await injector?.inject("three", "tcp")).toBe("full");
    expect(await injector?.inject("closed?", "uds")).toBe("closed");
    const { text } = await host().startTurn(id, { prompt: "inbox" });
    expect(JSON.parse(text)).toEqual([
      { body: "one", source: "webhook" },
      { body: "two", source: "rpc" },
    ]);
  });

  test("A33: what the agent throws in a handle arrives with its kind", async () => {
    const injector = await host().eventInjector(await withHandles());
    expect(await errorOf(injector?.inject("break", "rpc") as Promise<unknown>)).toMatchObject({
      code: "AGENT_ERROR",
      agentError: { kind: "inbox_broken" },
    });
    expect(await injector?.inject("fine", "rpc")).toBe("ok");
  });

  test("A33: an interaction's events can be read, and left", async () => {
    const id = await withHandles();
    const injector = await host().interactionEventInjector(id);
    expect(await injector?.inject("plain", "rpc")).toBe("ok");
    const whole = await injector?.injectWithSubscription("ping", "rpc");
    const seen: unknown[] = [];
    for await (const event of whole?.events ?? []) seen.push(event);
    expect({ id: whole?.id, seen }).toEqual({ id: "interaction-ping", seen: [0, 1, 2].map((i) => ({ body: "ping", i })) });
    const endless = await injector?.injectWithSubscription("endless", "rpc");
    let first: unknown;
    for await (const event of endless?.events ?? []) {
      first = event;
      break;
    }
    expect(first).toEqual({ body: "endless", i: 0 });
  });

  test("A33: the comms runtime's members answer, what it lacks is unsupported", async () => {
    const comms = await host().commsRuntime(await withHandles());
    expect(await comms?.publicKey()).toBe("key-1");
    expect(await comms?.peers()).toEqual([{ name: "bob" }]);
    expect(await comms?.peerCount()).toBe(1);
    expect(await comms?.send({ kind: "input", text: "hi" })).toEqual({ sent: "input" });
    expect(await comms?.drainMessages()).toEqual([]);
    expect(await codeOf(comms?.addTrustedPeer({ name: "eve" }) as Promise<unknown>)).toBe("SESSION_UNSUPPORTED");
    expect(await codeOf(comms?.dismissReceived() as Promise<unknown>)).toBe("SESSION_UNSUPPORTED");
  });

  test("A33, C3: what is missing is undefined: the capability, or the session", async () => {
    const service = host();
    const some = await withHandles(["commsRuntime"]);
    expect(await service.eventInjector(some)).toBeUndefined();
    expect(await service.interactionEventInjector(some)).toBeUndefined();
    expect(await service.commsRuntime(some)).toBeDefined();
    for (const id of [await deferred(service, { agent: "scripted" }), await deferred(service, { agent: "recording" }), "no-such"]) {
      expect([await service.eventInjector(id), await service.interactionEventInjector(id), await service.commsRuntime(id)]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    }
  });

  test("C2: handles are taken from the agent exactly once, before its first turn", async () => {
    const service = host();
    const id = await withHandles();
    for (let i = 0; i < 3; i++) {
      await service.eventInjector(id);
      await service.commsRuntime(id);
      await service.startTurn(id, { prompt: "x" });
    }
    await (await service.interactionEventInjector(id))?.inject("x", "rpc");
    const log = JSON.parse((await service.startTurn(id, { prompt: "log" })).text) as string[];
    expect(log.filter((call) => ALL.includes(call)).sort()).toEqual([...ALL].sort());
    expect(
      log
        .slice(
          0,
          log.findIndex((call) => call.startsWith("run:")),
        )
        .filter((call) => ALL.includes(call)),
    ).toHaveLength(3);
  });

  test("A33, R9: a handle works while a turn runs", async () => {
    const service = host();
    const id = await withHandles();
    const injector = await service.eventInjector(id);
    let isOver = false;
    const turn = service.startTurn(id, { prompt: script(["sleep", 80]) }).then(() => (isOver = true));
    expect(await injector?.inject("meanwhile", "rpc")).toBe("ok");
    expect(isOver).toBe(false);
    await turn;
  });

  test("A33: handles die, typed, when their session is archived, with the calls that wait", async () => {
    const service = host();
    const id = await withHandles();
    const [injector, interactions, comms] = [
      await service.eventInjector(id),
      await service.interactionEventInjector(id),
      await service.commsRuntime(id),
    ];
    const stream = (await interactions?.injectWithSubscription("endless", "rpc"))?.events[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) await stream?.next();
    const waiting = [codeOf(comms?.send({ kind: "hang" }) as Promise<unknown>), codeOf(stream?.next() as Promise<unknown>)];
    await service.archive(id);
    expect(await settled(Promise.all(waiting))).toEqual(["SESSION_NOT_FOUND", "SESSION_NOT_FOUND"]);
    expect(await errorOf(injector?.inject("x", "rpc") as Promise<unknown>)).toMatchObject({ code: "SESSION_NOT_FOUND", sessionId: id });
    expect(await codeOf(comms?.peers() as Promise<unknown>)).toBe("SESSION_NOT_FOUND");
    expect(await service.eventInjector(id)).toBeUndefined();
  });

  test("A33: a handle that is given back refuses what waits and what is asked, typed; others who hold it go on", async () => {
    const service = host();
    const id = await withHandles();
    const [mine, others] = [await service.commsRuntime(id), await service.commsRuntime(id)];
    const interactions = await service.interactionEventInjector(id);
    const stream = (await interactions?.injectWithSubscription("endless", "rpc"))?.events[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) await stream?.next();
    const waiting = [codeOf(mine?.send({ kind: "hang" }) as Promise<unknown>), codeOf(stream?.next() as Promise<unknown>)];
    await Promise.all([mine?.close(), interactions?.[Symbol.asyncDispose](), mine?.close()]);
    expect(await settled(Promise.all(waiting))).toEqual(["SESSION_UNSUPPORTED", "SESSION_UNSUPPORTED"]);
    expect(await errorOf(mine?.peers() as Promise<unknown>)).toMatchObject({
      code: "SESSION_UNSUPPORTED",
      sessionId: id,
      details: { reason: "handle_closed" },
    });
    expect(await others?.peerCount()).toBe(1);
    await others?.close();
    const again = await service.commsRuntime(id);
    expect(await again?.peerCount()).toBe(1);
    expect(await codeOf(others?.peerCount() as Promise<unknown>)).toBe("SESSION_UNSUPPORTED");
  });

  test("A33: arguments that cannot cross are refused, typed", async () => {
    const comms = await host().commsRuntime(await withHandles());
    expect(await codeOf(comms?.send({ kind: "x", callback: (() => {}) as never }) as Promise<unknown>)).toBe("INVALID_PARAMS");
    expect(await comms?.peerCount()).toBe(1);
  });

  test("A33: an injector checks what it is given", async () => {
    const id = await withHandles();
    const injector = await host().eventInjector(id);
    expect(await codeOf(injector?.inject(42 as never, "rpc") as Promise<unknown>)).toBe("INVALID_PARAMS");
    expect(await codeOf(injector?.inject("x", "pigeon" as never) as Promise<unknown>)).toBe("INVALID_PARAMS");
    expect(JSON.parse((await host().startTurn(id, { prompt: "inbox" })).text)).toEqual([]);
  });
});

describe("on a host of its own", () => {
  const openHost = hosts();

  test("A33, G6: handles die, typed, when their lane is lost, with the calls that wait", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service, { build: { handles: ALL } });
    const [injector, comms] = [await service.eventInjector(id), await service.commsRuntime(id)];
    const waiting = codeOf(comms?.send({ kind: "hang" }) as Promise<unknown>);
    expect(await codeOf(service.startTurn(id, { prompt: script(["exit", 1]) }))).toBe("AGENT_ERROR");
    expect(await settled(waiting)).toBe("SESSION_NOT_FOUND");
    expect(await settled(codeOf(injector?.inject("x", "rpc") as Promise<unknown>))).toBe("SESSION_NOT_FOUND");
  });

  test("A33, C2: handles that are open when a run is given up serve the rebuilt agent", async () => {
    const service = await openHost({ agent: RECORDING, interruptGraceMs: 50 });
    const id = await deferred(service, { build: { handles: ALL } });
    const injector = await service.eventInjector(id);
    const turn = service.startTurn(id, { prompt: script(["sleepThrough", 10_000]) });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await service.interrupt(id);
    expect(await codeOf(settled(turn))).toBe("AGENT_ERROR");
    expect(await injector?.inject("after", "rpc")).toBe("ok");
    expect(JSON.parse((await service.startTurn(id, { prompt: "inbox" })).text)).toEqual([{ body: "after", source: "rpc" }]);
  });
});
