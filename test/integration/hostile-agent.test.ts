/** Answers made to break whoever reads them, and an operator's logger that throws: harm stays where it is made. */
import { describe, expect, test } from "vitest";

import { SCRIPTED, codeOf, deferred, errorOf, hosts, script, settled, sharedHost } from "../helpers/hosts.ts";

const host = sharedHost({ agent: new URL("../fixtures/hostile.mjs", import.meta.url), lanes: { count: 1 } });
const BAD = ["thenGetterThrows", "thenThrows", "textGetterThrows", "proxyThrows", "proxyThrown", "revoked"];

describe.each([
  ["through defineAgent", {}],
  ["from a full agent", { full: true }],
])("an answer %s", (_, build) => {
  test.each(BAD)("C5, A11: %s fails its own turn, typed; the session and its neighbour go on", async (answer) => {
    const [id, neighbour] = [await deferred(host(), { build }), await deferred(host())];
    const [error, other] = await Promise.all([
      settled(errorOf(host().startTurn(id, { prompt: answer })), "the turn"),
      settled(host().startTurn(neighbour, { prompt: "fine" })),
    ]);
    expect(error).toMatchObject({ code: "AGENT_ERROR", sessionId: id });
    expect(other.text).toBe("fine");
    expect(await settled(host().startTurn(id, { prompt: "again" }))).toMatchObject({ text: "again" });
    expect((await host().read(id)).state.messageCount).toBe(2);
    expect(host().inspect()).toMatchObject({ lanesLost: 0, turns: { running: 0 } });
  });
});

test("C5: a thenable that settles twice counts once", async () => {
  const id = await deferred(host());
  expect((await settled(host().startTurn(id, { prompt: "thenSettlesTwice" }))).text).toBe("first");
  expect((await settled(host().startTurn(id, { prompt: "next" }))).text).toBe("next");
});

test("C5: what an agent posts on its thread's port reaches nobody", async () => {
  const [id, neighbour] = [await deferred(host()), await deferred(host())];
  expect((await settled(host().startTurn(id, { prompt: "postsGarbage" }))).text).toBe("posted");
  for (const each of [id, neighbour]) expect((await settled(host().startTurn(each, { prompt: "fine" }))).text).toBe("fine");
  expect(host().inspect()).toMatchObject({ lanesLost: 0, turns: { running: 0 } });
});

const openHost = hosts();

test("C5: a logger that throws disturbs nothing it is told about", async () => {
  const log = (): never => {
    throw new Error("the disk is full");
  };
  const service = await openHost({ agent: SCRIPTED, logger: { info: log, warn: log, error: log } });
  const id = await deferred(service);
  const onEvent = (): never => {
    throw new Error("not today");
  };
  expect(await codeOf(settled(service.startTurn(id, { prompt: script(["emit", 3]), onEvent })))).toBe("ok");
  expect(await codeOf(settled(service.startTurn(id, { prompt: script(["exit", 1]) })))).toBe("AGENT_ERROR");
  expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
});
