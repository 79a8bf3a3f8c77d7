/** Agents with peers that stay alive in host mode, over real threads: they answer what comes in until somebody ends it. */
import { fork } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

import type { AgentEvent, RunResult, SessionError, SessionService } from "../../dist/src/index.js";
import { codeOf, deferred, hosts, kindOf, settled, sharedHost, until } from "../helpers/hosts.ts";
import { PEERS, fresh, ingress, peer, run } from "../helpers/peers.ts";
import { contents, persistentHosts } from "../helpers/persistent-hosts.ts";

const CHILD = fileURLToPath(new URL("../fixtures/host-mode-child.mjs", import.meta.url));

/** A session in host mode, and one that is not. */
async function hosted(
  service: Pick<SessionService, "createSession" | "startTurn">,
): Promise<{ worker: string; id: string; other: string; ended: Promise<RunResult>; events: AgentEvent[] }> {
  const [worker, boss] = fresh("worker", "boss") as [string, string];
  const id = await deferred(service, { ...peer(worker, [boss]), hostMode: true });
  const other = await deferred(service, peer(boss, [worker]));
  const events: AgentEvent[] = [];
  const ended = service.startTurn(id, { prompt: "", hostMode: true, onEvent: ({ payload }) => void events.push(payload) });
  ended.catch(() => {});
  return { worker, id, other, ended, events };
}
const completed = (events: AgentEvent[]): number => events.filter(({ type }) => type === "interaction_complete").length;

describe("beside others", () => {
  const host = sharedHost({ agent: PEERS });

  test("it answers requests of a peer in another lane, one after the other, until its boundary", async () => {
    const { worker, id, other, ended, events } = await hosted(host());
    const [boss] = (await run(host(), other, ["snapshot"])) as [{ selfPeerId: string }];
    const answerTo = (n: number): unknown => [["say", boss.selfPeerId, n * n]];
    for (let n = 1; n <= 20; n++) {
      await run(host(), other, ["send", { kind: "peer_request", to: worker, intent: "square", params: answerTo(n) }]);
    }
    await until("all are answered", () => completed(events) === 20);
    await host().cancelAfterBoundary(id);
    expect(await settled(ended)).toMatchObject({ turns: 20, text: '["sent"]' });
    expect((await host().read(id)).state.messageCount).toBe(40);
    const [answers] = (await run(host(), other, ["drain"])) as [{ body: number }[]];
    expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 20 }, (_, n) => (n + 1) ** 2));
  });

  test("an interaction that is injected streams its events to whoever asked for them", async () => {
    const { id, ended, events } = await hosted(host());
    const injector = await host().interactionEventInjector(id);
    await injector?.inject("first", "webhook");
    const interaction = await injector?.injectWithSubscription(JSON.stringify([["emit", 3]]), "rpc");
    const seen: unknown[] = [];
    for await (const event of interaction?.events ?? []) seen.push(event);
    expect(seen).toEqual([
      ...[0, 1, 2].map((n) => ({ type: "text_delta", delta: String(n) })),
      { type: "interaction_complete", interactionId: interaction?.id, result: "[null]" },
    ]);
    expect(await (await host().commsRuntime(id))?.dismissReceived()).toBe(true);
    expect(await settled(ended)).toMatchObject({ turns: 2 });
    expect(events).toHaveLength(5);
  });

  test("a subscriber that does not read loses events, is told so, and has the last one", async () => {
    const { id, ended, events } = await hosted(host());
    const injector = await host().interactionEventInjector(id);
    const interaction = await injector?.injectWithSubscription(JSON.stringify([["emit", 4200]]), "rpc");
    await until("it is answered", () => completed(events) === 1);
    const seen: { type?: string }[] = [];
    for await (const event of interaction?.events ?? []) seen.push(event as { type: string });
    expect(seen.slice(-3).map(({ type }) => type)).toEqual(["text_delta", "stream_truncated", "interaction_complete"]);
    expect(seen).toHaveLength(4098);
    await host().cancelAfterBoundary(id);
    await settled(ended);
  });

  test("a subscriber is told, typed, when its session leaves", async () => {
    const { id, ended } = await hosted(host());
    const injector = await host().interactionEventInjector(id);
    const works = await injector?.injectWithSubscription('[["sleep",100],["emit",1],["sleep",200]]', "rpc");
    const waits = await injector?.injectWithSubscription("never answered", "rpc");
    await until("it is at the first", async () => (await ingress(host(), id)).queue.total === 1);
    const next = async (of: typeof works): Promise<unknown> =>
      of?.events[Symbol.asyncIterator]()
        .next()
        .then(
          ({ value }) => value as unknown,
          (error: SessionError) => error.agentError?.kind ?? error.code,
        );
    const ends = Promise.all([next(works), next(waits)]);
    await host().archive(id);
    expect(await settled(ends)).toEqual([{ type: "text_delta", delta: "0" }, "comms_input_closed"]); // what it is at it finishes
    expect(await settled(ended)).toMatchObject({ turns: 1 });
    expect(await codeOf(injector?.inject("x", "rpc") as Promise<unknown>)).toBe("SESSION_NOT_FOUND");
  });

  test("archived while it waits, it ends with a good result", async () => {
    const { id, ended } = await hosted(host());
    await host().archive(id);
    expect(await settled(ended)).toMatchObject({ text: "", turns: 0 });
  });

  test("interrupted, it ends as cancelled, and what it answered stands", async () => {
    const { worker, id, other, ended, events } = await hosted(host());
    await run(host(), other, ["say", worker, "one"], ["say", worker, [["hang"]]]);
    await until("it is at the second", async () => completed(events) === 1 && (await ingress(host(), id)).queue.total === 0);
    await host().interrupt(id);
    expect(await kindOf(settled(ended))).toBe("cancelled");
    expect((await host().read(id)).state.messageCount).toBe(2);
    expect(await run(host(), id, ["drain"])).toEqual([[]]);
  });
});

describe("on a host of its own", () => {
  const openHost = hosts();

  test("a shutdown with patience does not wait for messages that nobody sends", async () => {
    const service = await openHost({ agent: PEERS, lanes: { count: 2 } });
    const { ended } = await hosted(service);
    const began = Date.now();
    await service.shutdown({ deadlineMs: 25_000 });
    expect(await ended).toMatchObject({ turns: 0 });
    expect(Date.now() - began).toBeLessThan(20_000);
  });
});

describe("kept in a store", () => {
  const { open, folder } = persistentHosts({ agent: PEERS, lanes: { count: 2 } });

  test("every answer is saved as it is given: a lane that is lost takes only the one that was at work", async () => {
    const service = await open();
    const { worker, id, other, ended, events } = await hosted(service);
    await run(service, other, ["say", worker, "one"], ["say", worker, "two"]);
    await until("two are answered", () => completed(events) === 2);
    await run(service, other, ["say", worker, [["exit"]]]);
    expect(await kindOf(settled(ended))).toBe("lane_lost");
    const session = await service.exportSession(id);
    expect(contents(session.messages).filter((text) => text.startsWith("[MESSAGE"))).toHaveLength(2);
    const again = service.startTurn(id, { prompt: "", hostMode: true });
    await until("its name is back", async () => (await run(service, other, ["say", worker, "three"]))[0] === "sent");
    await until("it is answered", async () => (await ingress(service, id)).queue.total === 0);
    await service.cancelAfterBoundary(id);
    expect(await settled(again)).toMatchObject({ turns: 1 });
    expect((await service.exportSession(id)).messages).toHaveLength(6);
  });

  test("a process that is killed loses no answer that was told", async () => {
    const path = join(folder(), "db");
    const child = fork(CHILD, [path], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    const { id, answered } = await settled(
      new Promise<{ id: string; answered: number }>((resolve, reject) => {
        child.on("message", (said) => resolve(said as { id: string; answered: number }));
        child.on("error", reject);
      }),
    );
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    const service = await open({ store: { kind: "lmdb", path } });
    const { messages } = await service.exportSession(id);
    expect(messages.length).toBeGreaterThanOrEqual(2 * answered);
    expect(messages.length % 2).toBe(0);
    const ended = service.startTurn(id, { prompt: "", hostMode: true });
    const injector = await service.eventInjector(id);
    expect(await injector?.inject("once more", "rpc")).toBe("ok");
    await until("it is answered", async () => (await ingress(service, id)).queue.total === 0);
    await service.cancelAfterBoundary(id);
    expect(await settled(ended)).toMatchObject({ turns: 1 });
    expect((await service.exportSession(id)).messages).toHaveLength(messages.length + 2);
  });
});
