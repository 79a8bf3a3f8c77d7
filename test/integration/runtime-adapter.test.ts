/** The runtimes of a service's sessions over real lanes: inputs as turns, control with authority, ends. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import type { MachineSessionControlAuthority, RuntimeAdapter } from "../../dist/src/index.js";
import { codeOf, deferred, errorOf, hosts, kindOf, script, settled, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

const openHost = hosts();
const { open: openPersistent } = persistentHosts();

type Service = Awaited<ReturnType<typeof openHost>>;
/** A session whose runtime is attached. */
async function attached(service: Service): Promise<{ id: string; adapter: RuntimeAdapter }> {
  const id = await deferred(service);
  const adapter = service.runtimeAdapter() as RuntimeAdapter;
  await adapter.register(id);
  await adapter.attach(id);
  return { id, adapter };
}

test("F2: a service has one adapter, no other's, and none without a runtime store", async () => {
  const [one, other] = [await openHost(), await openHost()];
  const adapter = one.runtimeAdapter();
  expect(adapter).toBeDefined();
  expect(one.runtimeAdapter()).toBe(adapter);
  expect(other.runtimeAdapter()).not.toBe(adapter);
  expect((await openPersistent()).runtimeAdapter()).toBeUndefined();
});

test("F2: a service that is collected frees its adapter, one that lives keeps its own", async () => {
  const fixture = fileURLToPath(new URL("../fixtures/collected-service.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", fixture]);
  expect(JSON.parse(stdout)).toEqual({ collected: [true, true], kept: true });
});

test("inputs run as turns, one after another, and say what the session was", async () => {
  const service = await openHost();
  const { id, adapter } = await attached(service);
  const tickets = await Promise.all(["one", "two", "three"].map((prompt) => adapter.acceptInput(id, { prompt })));
  const outputs = await Promise.all(tickets.map(({ outcome }) => outcome));
  expect(outputs.map(({ receipt, terminal }) => [receipt.runId, receipt.contributingInputIds, receipt.messageCount, terminal])).toEqual(
    ["one", "two", "three"].map((text, index) => [
      tickets[index]?.runId,
      [tickets[index]?.inputId],
      2 * (index + 1),
      { kind: "run_result", runResult: expect.objectContaining({ text, sessionId: id }) as unknown },
    ]),
  );
  expect(adapter.state(id)).toBe("attached");
});

test("an input waits for the direct turns of its session and keeps its place; a failed one is no obstacle", async () => {
  const service = await openHost();
  const { id, adapter } = await attached(service);
  const ended: string[] = [];
  const direct = service.startTurn(id, { prompt: script(["sleep", 60], ["say", "direct"]) }).then(() => ended.push("direct"));
  const prompts = [script(["say", "first"]), script(["fail", "no"]), script(["say", "third"])];
  const tickets = await Promise.all(prompts.map((prompt) => adapter.acceptInput(id, { prompt })));
  const outcomes = tickets.map(({ outcome }, index) => codeOf(outcome).then((code) => ended.push(`${index} ${code}`)));
  await settled(Promise.all([direct, ...outcomes]), "an input");
  expect(ended).toEqual(["direct", "0 ok", "1 AGENT_ERROR", "2 ok"]);
});

test("stop interrupts the input that runs, and no turn of somebody else", async () => {
  const service = await openHost();
  const { id, adapter } = await attached(service);
  const runs = await adapter.acceptInput(id, { prompt: script(["sleep", 60_000]) });
  const waits = await adapter.acceptInput(id, { prompt: "x" });
  await until("it runs", async () => (await service.read(id)).state.isActive);
  expect(await settled(adapter.stop(id), "stop")).toEqual({ abandoned: 1 });
  expect([await kindOf(runs.outcome), (await errorOf(waits.outcome)).details, adapter.state(id)]).toEqual([
    "cancelled",
    { reason: "stopped" },
    "stopped",
  ]);
  await adapter.register(id);
  await adapter.attach(id);
  const direct = service.startTurn(id, { prompt: script(["sleep", 40], ["say", "done"]) });
  await adapter.acceptInput(id, { prompt: "x" });
  await adapter.stop(id);
  expect((await direct).text).toBe("done");
});

test("F3: interrupt and boundary cancel with authority, and nothing without", async () => {
  const [service, other] = [await openHost(), await openHost()];
  const { id, adapter } = await attached(service);
  const authority = adapter.controlAuthority();
  expect(await codeOf(service.interruptWithMachineAuthority(id, authority))).toBe("SESSION_NOT_RUNNING");
  const turn = service.startTurn(id, { prompt: script(["sleep", 60_000]) });
  const forged = [undefined, {}, Object.create(Object.getPrototypeOf(authority) as object), other.runtimeAdapter()?.controlAuthority()];
  for (const value of forged as MachineSessionControlAuthority[]) {
    for (const call of [
      service.interruptWithMachineAuthority(id, value),
      service.cancelAfterBoundaryWithMachineAuthority("no-such", value),
    ]) {
      expect(await errorOf(call)).toMatchObject({ code: "INVALID_PARAMS", details: { field: "authority" } });
    }
  }
  await service.interruptWithMachineAuthority(id, authority);
  expect(await kindOf(turn)).toBe("cancelled");
  const second = service.startTurn(id, { prompt: script(["untilBoundary"], ["say", "stopped"]) });
  await service.cancelAfterBoundaryWithMachineAuthority(id, authority);
  expect((await second).text).toBe("stopped");
  const persistent = await openPersistent();
  expect(await codeOf(persistent.interruptWithMachineAuthority(id, authority))).toBe("INVALID_PARAMS");
});

test("F8: an archive by lifecycle authority retires first: queued inputs run, an unknown session touches nothing", async () => {
  const service = await openHost();
  const { id, adapter } = await attached(service);
  const before = adapter.list();
  expect(await codeOf(service.archiveWithMobLifecycleAuthority("no-such"))).toBe("SESSION_NOT_FOUND");
  expect(adapter.list()).toEqual(before);
  const tickets = await Promise.all(["one", "two"].map((prompt) => adapter.acceptInput(id, { prompt })));
  await service.archiveWithMobLifecycleAuthority(id);
  expect(await Promise.all(tickets.map(({ outcome }) => codeOf(outcome)))).toEqual(["ok", "ok"]);
  expect([adapter.state(id), (await service.read(id)).state.messageCount, await service.list()]).toEqual(["retired", 4, []]);
  expect(await codeOf(adapter.acceptInput(id, { prompt: "x" }))).toBe("SESSION_NOT_RUNNING");
  await service.archiveWithMobLifecycleAuthority(id);
});

test("F8: sessions that never ran, were never registered, or are archived already converge", async () => {
  const service = await openHost();
  const adapter = service.runtimeAdapter();
  const [fresh, archived, twice] = [await deferred(service), await deferred(service), await deferred(service)];
  await service.archiveWithMobLifecycleAuthority(fresh);
  await service.archive(archived);
  await service.archiveWithMobLifecycleAuthority(archived);
  await Promise.all([service.archiveWithMobLifecycleAuthority(twice), service.archiveWithMobLifecycleAuthority(twice)]);
  expect([fresh, archived, twice].map((id) => adapter?.state(id))).toEqual(["retired", "retired", "retired"]);
  expect(await service.list()).toEqual([]);
});

test("a plain archive, and a discard, end the queue: what runs has its real result", async () => {
  const service = await openHost();
  for (const [end, state] of [
    ["archive", "retired"],
    ["discardLiveSession", "destroyed"],
  ] as const) {
    const { id, adapter } = await attached(service);
    const runs = await adapter.acceptInput(id, { prompt: script(["sleep", 40], ["say", "done"]) });
    const waits = await adapter.acceptInput(id, { prompt: "x" });
    await until("it runs", async () => (await service.read(id)).state.isActive);
    await service[end](id);
    expect(await codeOf(waits.outcome)).toBe("SESSION_NOT_FOUND");
    if (end === "archive") expect(await codeOf(runs.outcome)).toBe("ok");
    await until("the runtime has ended", () => adapter.state(id) === state);
    expect(await codeOf(adapter.register(id))).toBe("SESSION_NOT_FOUND");
  }
});

test("a session that is lost with its lane ends its runtime", async () => {
  const service = await openHost();
  const { id, adapter } = await attached(service);
  const tickets = await Promise.all([script(["exit", 1]), "x", "y"].map((prompt) => adapter.acceptInput(id, { prompt })));
  const codes = await Promise.all(tickets.map(({ outcome }) => codeOf(outcome)));
  expect(codes).toEqual(["AGENT_ERROR", "SESSION_NOT_FOUND", "SESSION_NOT_FOUND"]);
  await until("the runtime has ended", () => adapter.state(id) === "destroyed");
});

test("shutdown settles every input", async () => {
  const service = await openHost();
  const { id, adapter } = await attached(service);
  const runs = await adapter.acceptInput(id, { prompt: script(["sleep", 30], ["say", "done"]) });
  const waits = await adapter.acceptInput(id, { prompt: "x" });
  await until("it runs", async () => (await service.read(id)).state.isActive);
  const closed = service.shutdown();
  expect(await codeOf(waits.outcome)).toBe("HOST_CLOSED");
  expect(await codeOf(runs.outcome)).toBe("ok");
  await closed;
  expect(await codeOf(adapter.acceptInput(id, { prompt: "x" }))).toBe("HOST_CLOSED");
  expect(service.shutdown()).toBe(closed);
});
