/** Checkpoints: what an agent saves in the middle of a turn, when it is not written, and when it never may be. */
import { expect, test } from "vitest";

import { codeOf, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, counting } = persistentHosts();
const step = (content: string): [string, object] => ["append", { role: "user", content }];

test("E1: a checkpoint saves what the turn has done so far, and the turn's end saves the rest once", async () => {
  const { store, writes } = counting();
  const service = await open({ store });
  const prompt = script(step("halfway"), ["checkpoint"], ["sleep", 60], step("further"), ["say", "end"]);
  const { sessionId: id } = await service.createSession({ prompt: "first" });
  const turn = service.startTurn(id, { prompt });
  await until("it is saved", () => writes(id).length === 2);
  expect(contents((await service.loadPersisted(id))?.messages)).toEqual([...echoed("first"), prompt, "halfway"]);
  await settled(turn);
  expect(contents((await service.loadPersisted(id))?.messages)).toEqual([...echoed("first"), prompt, "halfway", "further", "end"]);
  expect(writes(id)).toEqual(["append", "append", "append"]);
});

test("E1, D2: what a checkpoint saved stands when the turn fails, is cancelled, or loses its lane", async () => {
  const service = await open();
  for (const end of [
    ["fail", "no"],
    ["exit", 1],
    ["sleep", 10_000],
  ] as const) {
    const { sessionId: id } = await service.createSession({ prompt: "first" });
    const prompt = script(step("kept"), ["addUsage", { inputTokens: 10 }], ["checkpoint"], step("not kept"), end);
    const turn = service.startTurn(id, { prompt });
    if (end[0] === "sleep") {
      await until("it is saved", async () => (await service.loadPersisted(id))?.messages.length === 4);
      await service.interrupt(id);
    }
    expect(await kindOf(settled(turn))).toBe({ fail: "internal_error", exit: "lane_lost", sleep: "cancelled" }[end[0]]);
    expect(contents((await service.exportSession(id)).messages)).toEqual([...echoed("first"), prompt, "kept"]);
    await service.startTurn(id, { prompt: "next" });
    const session = await service.exportSession(id);
    expect(contents(session.messages)).toEqual([...echoed("first"), prompt, "kept", ...echoed("next")]);
    expect(session.usage.inputTokens).toBe(19);
  }
});

test("E2: a checkpoint of what is saved already writes nothing", async () => {
  const { store, writes } = counting();
  const service = await open({ store, agent: new URL("../fixtures/checkpointing.mjs", import.meta.url) });
  const { sessionId: id } = await service.createSession({ prompt: "checkpoint" });
  expect(writes(id)).toEqual(["append"]); // the turn's own
  await service.startTurn(id, { prompt: "checkpoint" });
  expect(writes(id)).toEqual(["append", "append"]);
});

test("E3, E4: a checkpoint that cannot be saved harms neither agent nor turn, and is made up for by the next", async () => {
  const { store, order, writes } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "first" });
  order({ fail: ["append"] });
  const prompt = script(step("1"), ["checkpoint"], ["sleep", 150], step("2"), ["checkpoint"], ["say", "end"]);
  const turn = service.startTurn(id, { prompt });
  await until("it was tried", () => writes(id).length === 2);
  await sleep(20);
  order({});
  expect((await settled(turn)).text).toBe("end");
  expect(contents((await service.loadPersisted(id))?.messages)).toEqual([...echoed("first"), prompt, "1", "2", "end"]);
  expect(service.inspect().lanes[0]?.strayErrors).toBe(1);
});

test("E4: a checkpoint that is saved although the store fails: the turn's end saves the rest", async () => {
  const { store, order, writes } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "first" });
  order({ failAfter: ["append"] });
  const prompt = script(step("1"), ["checkpoint"], ["sleep", 150], step("2"), ["say", "end"]);
  const turn = service.startTurn(id, { prompt });
  await until("it was tried", () => writes(id).length === 2);
  await sleep(20);
  order({});
  expect((await settled(turn)).text).toBe("end");
  expect(contents((await service.loadPersisted(id))?.messages)).toEqual([...echoed("first"), prompt, "1", "2", "end"]);
});

test("E5, R4: no checkpoint writes an archived session back, whether it was on its way or comes later", async () => {
  for (const archivePolicy of ["retain", "delete"] as const) {
    const { store, order, calls } = counting();
    const service = await open({ store, archivePolicy });
    const { sessionId: id } = await service.createSession({ prompt: "first" });
    order({ hold: ["append"] });
    const turn = service.startTurn(id, { prompt: script(step("1"), ["checkpoint"], step("2"), ["checkpoint"], ["say", "end"]) });
    await until("it is on its way", () => calls(id).filter((call) => call === "append").length === 2);
    const archiving = service.archive(id);
    await until("archived", () => calls(id).includes("archive"));
    order({});
    await settled(archiving);
    expect((await settled(turn)).text).toBe("end"); // R5: its own write is still taken
    await until("it has left", () => service.inspect().slots.allocated === 0);
    if (archivePolicy === "retain") expect((await service.loadPersisted(id))?.metadata).toMatchObject({ session_archived: true });
    else await until("it is gone", async () => (await service.loadPersisted(id)) === undefined);
    expect(await service.list()).toEqual([]);
  }
});

test("E6, E7: cancelled checkpoints are not written, and wait for none on the way; rearmed they are", async () => {
  const { store, order, writes } = counting();
  const service = await open({ store });
  const { sessionId: id } = await service.createSession({ prompt: "first" });
  const prompt = script(step("1"), ["checkpoint"], ["sleep", 10_000]);
  order({ hold: ["append"] });
  const turn = service.startTurn(id, { prompt });
  await until("it is on its way", () => writes(id).length === 2);
  let isCancelled = false;
  const cancelling = service.cancelAllCheckpointers().then(() => (isCancelled = true));
  await sleep(50);
  expect(isCancelled).toBe(false);
  order({});
  await settled(cancelling);
  await service.interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect(await codeOf(service.startTurn(id, { prompt: script(step("2"), ["checkpoint"], ["fail", "no"]) }))).toBe("AGENT_ERROR");
  expect(writes(id)).toHaveLength(2); // nothing of it
  // J2: a session that is made live later has an open gate.
  const { sessionId: later } = await service.createSession({ prompt: "first" });
  await codeOf(service.startTurn(later, { prompt: script(step("2"), ["checkpoint"], ["fail", "no"]) }));
  expect(writes(later)).toHaveLength(2);
  const archived = (await service.createSession({ prompt: "x" })).sessionId;
  await service.archive(archived);
  await service.rearmAllCheckpointers();
  await codeOf(service.startTurn(id, { prompt: script(step("3"), ["checkpoint"], ["fail", "no"]) }));
  expect(writes(id)).toHaveLength(3);
  expect((await service.loadPersisted(archived))?.messages).toHaveLength(2);
  expect((await service.loadPersisted(archived))?.metadata).toMatchObject({ session_archived: true });
});
