/** Agents whose builders take too long: their callers are answered, and nothing is held. */
import { expect, test } from "vitest";

import { codeOf, deferred, errorOf, hosts, kindOf, settled, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

const openEphemeral = hosts();
const { open } = persistentHosts({ lanes: { count: 1 }, interruptGraceMs: 200 });

test("A4: a builder that never ends fails its create in time and gives the capacity back; what it gives later is disposed", async () => {
  const service = await openEphemeral({ maxSessions: 1, buildTimeoutMs: 200 });
  for (const hangSetup of [60_000, 400]) {
    const error = await errorOf(settled(service.createSession({ prompt: "x", build: { hangSetup } })));
    expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error" } });
    expect(error.message).toContain("200 ms");
    await until("nothing is held", () => service.inspect().slots.allocated === 0);
  }
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
});

test("A4: a builder in time is not disturbed", async () => {
  const service = await openEphemeral({ buildTimeoutMs: 5000 });
  expect(await codeOf(service.createSession({ prompt: "x", build: { hangSetup: 300 } }))).toBe("ok");
});

test("G6: a builder that blocks its lane is killed with it, and after the second time the session is quarantined", async () => {
  const service = await open({ buildTimeoutMs: 300 });
  const id = await deferred(service, { build: { spinOnWake: 60_000 } });
  await service.startTurn(id, { prompt: "x" });
  await service.hibernate(id);
  for (let strikes = 1; strikes <= 2; strikes++) {
    await until("a lane is up", () => service.inspect().lanes[0]?.state === "ready");
    expect(await kindOf(settled(service.startTurn(id, { prompt: "y" })))).toBe("lane_lost");
    expect(service.inspect().events).toMatchObject({ lane_killed: strikes, session_struck: strikes });
  }
  expect(await codeOf(service.startTurn(id, { prompt: "y" }))).toBe("SESSION_QUARANTINED");
  expect((await service.readHistory(id)).messages).toHaveLength(2);
});
