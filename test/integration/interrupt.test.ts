/** Interrupting a turn in each of its phases, by agents that cooperate. What happens with those that do not is in interrupt-ladder. */
import { describe, expect, test } from "vitest";

import { RECORDING, codeOf, deferred, errorOf, gate, hosts, kindOf, script, settled, sharedHost } from "../helpers/hosts.ts";

const host = sharedHost();

/** Start a turn and wait until its agent runs. The short sleep lets its event out before a busy loop begins. */
async function running(id: string, ...steps: Parameters<typeof script>): Promise<{ turn: Promise<unknown>; ticket: number }> {
  const started = gate();
  let ticket = 0;
  const turn = host().startTurn(
    id,
    { prompt: script(["emit", 1], ["sleepThrough", 1], ...steps), onEvent: () => started.open() },
    { onAdmitted: (given) => void (ticket = given) },
  );
  turn.catch(() => {});
  await started.promise;
  return { turn, ticket };
}

test("A13, R7: an interrupt answers at once, its turn ends as cancelled, and the session stays usable", async () => {
  const id = await deferred(host());
  const { turn } = await running(id, ["sleep", 60_000]);
  await settled(host().interrupt(id));
  const error = await errorOf(turn);
  expect(error).toMatchObject({
    code: "AGENT_ERROR",
    sessionId: id,
    agentError: { kind: "cancelled", message: "Run was cancelled" },
    details: { reason: "interrupt" },
  });
  expect((await host().read(id)).state).toMatchObject({ isActive: false, messageCount: 0 });
  expect(await host().startTurn(id, { prompt: "next" })).toMatchObject({ text: "next" });
});

test("A14, R7: a busy loop that polls is interrupted, and the service answers meanwhile", async () => {
  const id = await deferred(host());
  const { turn } = await running(id, ["spin", 60_000]);
  expect(await settled(host().list())).not.toHaveLength(0);
  expect((await settled(host().read(id))).state.isActive).toBe(true);
  await settled(host().interrupt(id));
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect(await codeOf(host().startTurn(id, { prompt: "next" }))).toBe("ok");
});

test("A15, A16: an interrupt with nothing to interrupt says which", async () => {
  const id = await deferred(host());
  expect(await codeOf(host().interrupt(id))).toBe("SESSION_NOT_RUNNING");
  await host().startTurn(id, { prompt: "x" });
  expect(await codeOf(host().interrupt(id))).toBe("SESSION_NOT_RUNNING");
  expect(await codeOf(host().interrupt("no-such"))).toBe("SESSION_NOT_FOUND");
  expect(await codeOf(host().interruptTurn("no-such", 1))).toBe("SESSION_NOT_FOUND");
  await host().archive(id);
  expect(await codeOf(host().interrupt(id))).toBe("SESSION_NOT_FOUND");
});

test("A16: an interrupt of a running turn is Ok, takes effect at once, and Ok again when asked twice", async () => {
  const id = await deferred(host());
  const { turn } = await running(id, ["sleep", 60_000]);
  expect([await codeOf(host().interrupt(id)), await codeOf(turn)]).toEqual(["ok", "AGENT_ERROR"]);
  const { turn: second } = await running(id, ["sleepThrough", 50]);
  expect(await Promise.all([codeOf(host().interrupt(id)), codeOf(host().interrupt(id))])).toEqual(["ok", "ok"]);
  expect(await kindOf(second)).toBe("cancelled");
});

test("R6: when the interrupt and success are both ready, the interrupt wins, and the run is taken back", async () => {
  const id = await deferred(host());
  const { turn } = await running(id, ["spinThenSucceed", 60_000]);
  await host().interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  const view = await host().read(id);
  expect(view.state.messageCount).toBe(0);
  expect(view.billing.totalTokens).toBe(0);
  expect((await host().exportSession(id)).messages).toEqual([]);
});

test("R6: an agent that swallows its interrupt is cancelled all the same", async () => {
  const id = await deferred(host());
  const { turn } = await running(id, ["spinThenSucceed", 60_000], ["swallowInterrupt"], ["say", "as if nothing was"]);
  await host().interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
});

test("R6: of an accepted interrupt and a good result exactly one is true, and the next turn never sees it", async () => {
  const id = await deferred(host());
  const seen = new Set<string>();
  for (let round = 0; round < 300; round++) {
    const turn = codeOf(host().startTurn(id, { prompt: round % 2 === 0 ? "sync" : script(["sleep", 0]) }));
    // Let the turn get a little further each time, so that the interrupt meets it in every phase.
    for (let yields = round % 15; yields > 0; yields--) await new Promise(setImmediate);
    const [interrupt, outcome] = await settled(Promise.all([codeOf(host().interrupt(id)), turn]));
    seen.add(`${interrupt} ${outcome}`);
    expect(await codeOf(host().startTurn(id, { prompt: "next" }))).toBe("ok");
  }
  expect([...seen].sort()).toEqual(["SESSION_NOT_RUNNING ok", "ok AGENT_ERROR"]);
});

test("R6: interruptTurn is fenced to its ticket", async () => {
  const id = await deferred(host());
  const first = await running(id, ["sleep", 5]);
  await first.turn;
  expect(await host().interruptTurn(id, first.ticket)).toBe(false);
  const second = await running(id, ["sleep", 60]);
  expect(await host().interruptTurn(id, first.ticket)).toBe(false);
  expect(await codeOf(second.turn)).toBe("ok");
  const third = await running(id, ["sleep", 60_000]);
  expect(await host().interruptTurn(id, third.ticket)).toBe(true);
  expect(await kindOf(third.turn)).toBe("cancelled");
});

test("R7, R8: an interrupt gets through while the agent is blocked by a consumer that never settles", async () => {
  const id = await deferred(host());
  const stuck = gate();
  const turn = host().startTurn(id, {
    prompt: script(["emit", 1000]),
    onEvent: () => {
      stuck.open();
      return new Promise<void>(() => {});
    },
  });
  await stuck.promise;
  await settled(host().interrupt(id));
  expect(await kindOf(settled(turn, "the interrupted turn"))).toBe("cancelled");
  expect(await codeOf(host().startTurn(id, { prompt: "next" }))).toBe("ok");
});

test("R6, R7: a turn whose agent has returned, while its events still wait, can be interrupted and is taken back", async () => {
  const id = await deferred(host());
  const stuck = gate();
  const turn = host().startTurn(id, {
    prompt: script(["emitUnawaited", 600]),
    onEvent: () => {
      stuck.open();
      return new Promise<void>(() => {});
    },
  });
  await stuck.promise;
  await settled(host().interrupt(id));
  expect(await kindOf(settled(turn, "the interrupted turn"))).toBe("cancelled");
  expect((await host().read(id)).state.messageCount).toBe(0);
});

test("R6, R7: an onEvent may interrupt its own turn", async () => {
  const id = await deferred(host());
  let answer: Promise<string> | undefined;
  const turn = host().startTurn(id, {
    prompt: script(["emit", 1], ["sleep", 60_000]),
    onEvent: () => void (answer = codeOf(host().interrupt(id))),
  });
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect(await answer).toBe("ok");
});

test("R7: a turn with a time limit is interrupted after it, and says why", async () => {
  const id = await deferred(host());
  const error = await errorOf(settled(host().startTurn(id, { prompt: script(["sleep", 60_000]), timeoutMs: 20 })));
  expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "cancelled" }, details: { reason: "timeout" } });
  expect(await codeOf(host().startTurn(id, { prompt: "x", timeoutMs: 10_000 }))).toBe("ok");
});

test("A13: a turn in host mode is interrupted the same way", async () => {
  const id = await deferred(host());
  const started = gate();
  const turn = host().startTurn(id, { prompt: script(["emit", 1], ["sleep", 60_000]), hostMode: true, onEvent: () => started.open() });
  await started.promise;
  await host().interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
});

describe("with an agent that records", () => {
  const openHost = hosts();
  const calls = async (service: Awaited<ReturnType<typeof openHost>>, id: string): Promise<string[]> =>
    JSON.parse((await service.startTurn(id, { prompt: "log" })).text) as string[];

  test("R6: interrupted before it starts, the agent is never called but for one cancel", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service);
    const turn = service.startTurn(id, { prompt: "never" });
    const interrupted = service.interrupt(id);
    expect(await kindOf(turn)).toBe("cancelled");
    await interrupted;
    const log = await calls(service, id);
    expect(log.filter((call) => /^(run|cancel|aborted)/.test(call))).toEqual(["cancel", "run:log"]);
  });

  test("R6: interrupted before it starts, a turn takes nothing of the turns before it along", async () => {
    const service = await openHost();
    const { sessionId: id } = await service.createSession({ prompt: "kept" });
    const turn = service.startTurn(id, { prompt: "never" });
    await service.interrupt(id);
    expect(await kindOf(turn)).toBe("cancelled");
    expect((await service.read(id)).state).toMatchObject({ messageCount: 2, lastAssistantText: "kept" });
    expect((await service.exportSession(id)).messages.map((message) => "content" in message && message.content)).toEqual(["kept", "kept"]);
  });

  test("R6, R7: interrupted while its lane is blocked by a neighbour, the agent is never called", async () => {
    const service = await openHost({ agent: RECORDING });
    const [neighbour, id] = [await deferred(service), await deferred(service)];
    const busy = service.startTurn(neighbour, { prompt: script(["spinBlind", 200]) });
    const turn = service.startTurn(id, { prompt: "never" });
    await new Promise(setImmediate);
    await settled(service.interrupt(id));
    expect(await kindOf(settled(turn))).toBe("cancelled");
    await busy;
    expect((await calls(service, id)).filter((call) => /^(run|cancel)/.test(call))).toEqual(["cancel", "run:log"]);
  });

  test("B11, B8: the run has ended before cancel is called, once, and the overlay is cleared behind it", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service);
    const started = gate();
    const turn = service.startTurn(id, {
      prompt: script(["emit", 1], ["sleep", 60_000]),
      flowToolOverlay: { blockedTools: ["x"] },
      onEvent: () => started.open(),
    });
    await started.promise;
    await Promise.all([service.interrupt(id), service.interrupt(id)]);
    expect(await kindOf(turn)).toBe("cancelled");
    const log = await calls(service, id);
    expect(log.slice(log.indexOf("aborted"), log.lastIndexOf("skills:null"))).toEqual(["aborted", "runEnded", "cancel", "overlay:null"]);
  });

  test("B11: a cancel that throws changes nothing for the caller, and the session stays usable", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service, { build: { cancelThrows: true } });
    const turn = service.startTurn(id, { prompt: script(["sleep", 60_000]) });
    await service.interrupt(id);
    expect(await kindOf(turn)).toBe("cancelled");
    expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("ok");
    expect(service.inspect().lanes[0]).toMatchObject({ strayErrors: 1, state: "ready" });
  });
});
