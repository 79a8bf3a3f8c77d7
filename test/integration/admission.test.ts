/** Admission: one turn at a time, taken at once or refused at once, and free again on every way out. */
import { describe, expect, test } from "vitest";

import { RECORDING, codeOf, deferred, errorOf, gate, hosts, kindOf, script, settled, sharedHost, until } from "../helpers/hosts.ts";

describe("with a plain agent", () => {
  const host = sharedHost();

  test("A10, R1: of N concurrent startTurn exactly one is admitted, the others are refused at once", async () => {
    const service = host();
    const id = await deferred(service);
    const admitted: number[] = [];
    let isDone = false;
    const turns = Array.from({ length: 20 }, (_, i) =>
      service.startTurn(
        id,
        { prompt: script(["sleep", 60], ["say", `turn ${i}`]) },
        { onAdmitted: (ticket) => void admitted.push(ticket) },
      ),
    );
    const winner = turns[0] as Promise<unknown>;
    void winner.finally(() => (isDone = true)).catch(() => {});
    const losers = await Promise.all(turns.slice(1).map((turn) => errorOf(turn)));
    expect(isDone).toBe(false);
    expect(losers.map(({ code, sessionId, disposition }) => ({ code, sessionId, disposition }))).toEqual(
      Array.from({ length: 19 }, () => ({ code: "SESSION_BUSY", sessionId: id, disposition: "retry" })),
    );
    expect(admitted).toHaveLength(1);
    expect(await winner).toMatchObject({ text: "turn 0" });
    expect(await codeOf(service.startTurn(id, { prompt: "next" }))).toBe("ok");
  });

  test("R1: nobody's turn comes ahead of a create's first", async () => {
    const service = host();
    const steals = service.waitSessionRegistered().then((id) => codeOf(service.startTurn(id, { prompt: "thief" })));
    const { text } = await service.createSession({ prompt: "first" });
    expect({ text, thief: await steals }).toEqual({ text: "first", thief: "SESSION_BUSY" });
  });

  test("R1: sessions do not share their locks", async () => {
    const service = host();
    const ids = await Promise.all(Array.from({ length: 10 }, () => deferred(service)));
    const codes = await Promise.all(ids.map((id) => codeOf(service.startTurn(id, { prompt: script(["sleep", 20]) }))));
    expect(codes).toEqual(ids.map(() => "ok"));
  });

  test("A9: counts, usage and history add up over turns", async () => {
    const service = host();
    const { sessionId } = await service.createSession({ prompt: "one" });
    for (const prompt of ["two", "three"]) await service.startTurn(sessionId, { prompt });
    const view = await service.read(sessionId);
    expect(view.state.messageCount).toBe(6);
    expect(view.billing).toEqual({ totalTokens: 15, usage: { inputTokens: 9, outputTokens: 6 } });
    const { messages } = await service.readHistory(sessionId);
    expect(messages.map((message) => ("content" in message ? message.content : ""))).toEqual([
      "one",
      "one",
      "two",
      "two",
      "three",
      "three",
    ]);
  });

  test("A12: a turn outlives its caller", async () => {
    const service = host();
    const id = await deferred(service);
    void service.startTurn(id, { prompt: script(["sleep", 30]) });
    await until("the counts advance", async () => (await service.read(id)).state.messageCount === 2);
    expect(await codeOf(service.startTurn(id, { prompt: "next" }))).toBe("ok");
  });

  test("B6, R12: who holds a result sees its counts, an idle session, and an open door", async () => {
    const service = host();
    const id = await deferred(service);
    for (let turn = 1; turn <= 50; turn++) {
      await service.startTurn(id, { prompt: turn % 2 === 0 ? script(["sleep", 0]) : "sync" });
      const [summary] = (await service.list()).filter(({ sessionId }) => sessionId === id);
      expect(summary).toMatchObject({ isActive: false, messageCount: turn * 2, totalTokens: turn * 5 });
    }
  });

  test("B6, R12: after a failure too the session is idle when its caller learns of it", async () => {
    const service = host();
    const id = await deferred(service);
    for (let turn = 0; turn < 10; turn++) {
      expect(await kindOf(service.startTurn(id, { prompt: script(["fail", "x"]) }))).toBe("internal_error");
      expect((await service.read(id)).state).toMatchObject({ isActive: false, messageCount: 0 });
    }
  });

  test("A21: isActive is true from the admission until the lock is free", async () => {
    const service = host();
    const id = await deferred(service);
    const shown = async () => [
      (await service.read(id)).state.isActive,
      (await service.list()).find(({ sessionId }) => sessionId === id)?.isActive,
    ];
    expect(await shown()).toEqual([false, false]);
    const turn = service.startTurn(id, { prompt: script(["sleep", 50]) });
    expect(await shown()).toEqual([true, true]);
    await turn;
    expect(await shown()).toEqual([false, false]);
  });

  test("A10: onAdmitted is called within the call, with tickets that are never used again", async () => {
    const service = host();
    const id = await deferred(service);
    const tickets: number[] = [];
    for (let i = 0; i < 5; i++) {
      const turn = service.startTurn(id, { prompt: "x" }, { onAdmitted: (ticket) => void tickets.push(ticket) });
      expect(tickets).toHaveLength(i + 1);
      await turn;
    }
    expect(new Set(tickets).size).toBe(5);
    let first: number | undefined;
    const { sessionId } = await service.createSession({ prompt: "x" }, { onAdmitted: (ticket) => void (first = ticket) });
    expect(first).toBeGreaterThan(0);
    expect(tickets).not.toContain(first);
    expect(await service.interruptTurn(sessionId, first as number)).toBe(false);
  });

  test("A11: an onAdmitted that throws ends the call, and frees the lock", async () => {
    const service = host();
    const id = await deferred(service);
    const thrown = new Error("not today");
    const onAdmitted = (): never => {
      throw thrown;
    };
    await expect(service.startTurn(id, { prompt: "x" }, { onAdmitted })).rejects.toBe(thrown);
    expect((await service.read(id)).state).toMatchObject({ isActive: false, messageCount: 0 });
    expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("ok");
    const before = service.inspect().sessions.live;
    await expect(service.createSession({ prompt: "x" }, { onAdmitted })).rejects.toBe(thrown);
    expect(service.inspect().sessions).toMatchObject({ live: before, building: 0 });
  });

  test("K3: an onAdmitted that archives its session and then throws gets what it threw", async () => {
    const service = host();
    const resumeSession = {
      version: 1 as const,
      id: "known",
      messages: [],
      createdAt: 1,
      updatedAt: 1,
      metadata: {},
      usage: { inputTokens: 0, outputTokens: 0 },
    };
    const thrown = new Error("mine");
    const onAdmitted = (): never => {
      void service.archive("known");
      throw thrown;
    };
    await expect(service.createSession({ prompt: "x", build: { resumeSession } }, { onAdmitted })).rejects.toBe(thrown);
  });

  test("R3: archiving from within onAdmitted does not leave the turn hanging", async () => {
    const service = host();
    const id = await deferred(service);
    const turn = codeOf(service.startTurn(id, { prompt: "x" }, { onAdmitted: () => void service.archive(id) }));
    expect(["ok", "SESSION_NOT_FOUND"]).toContain(await settled(turn, "the turn"));
    expect(service.inspect().turns.running).toBe(0);
  });

  test("R6: interrupting from within onAdmitted cancels that turn", async () => {
    const service = host();
    const id = await deferred(service);
    let asked: Promise<boolean> | undefined;
    const turn = codeOf(
      service.startTurn(
        id,
        { prompt: script(["sleep", 200]) },
        { onAdmitted: (ticket) => void (asked = service.interruptTurn(id, ticket)) },
      ),
    );
    expect({ asked: await asked, turn: await turn }).toEqual({ asked: true, turn: "AGENT_ERROR" });
  });
});

describe("with an agent that records", () => {
  const openHost = hosts();

  test("A11: the lock is free after every way a turn can end", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service, { build: { overlayRefused: true } });
    const ways: [string, () => Promise<unknown>][] = [
      ["ok", () => service.startTurn(id, { prompt: "x" })],
      ["AGENT_ERROR", () => service.startTurn(id, { prompt: script(["fail", "x"]) })],
      ["AGENT_ERROR", () => service.startTurn(id, { prompt: script(["throwValue", null]) })],
      ["AGENT_ERROR", () => service.startTurn(id, { prompt: script(["return", 42]) })],
      ["AGENT_ERROR", () => service.startTurn(id, { prompt: "x", flowToolOverlay: { allowedTools: [] } })],
      ["AGENT_ERROR", () => service.startTurn(id, { prompt: script(["sleep", 10_000]), timeoutMs: 20 })],
      ["ok", () => service.startTurn(id, { prompt: script(["emit", 3]), onEvent: () => Promise.reject(new Error("receiver dropped")) })],
      [
        "AGENT_ERROR",
        () => {
          const turn = service.startTurn(id, { prompt: script(["sleep", 10_000]) });
          void service.interrupt(id);
          return turn;
        },
      ],
    ];
    for (const [code, way] of ways) {
      expect(await settled(codeOf(way()))).toBe(code);
      expect(await codeOf(service.startTurn(id, { prompt: "next" }))).toBe("ok");
    }
  });

  test("B1: the agent is entered by one call at a time, in the order the calls came", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service);
    const open = gate();
    const turn = service.startTurn(id, { prompt: script(["emit", 1], ["sleep", 30]), onEvent: () => open.open() });
    await open.promise;
    const done: string[] = [];
    const note = (name: string) => () => void done.push(name);
    await Promise.all([
      service.exportSession(id).then(note("export")),
      service.applyRuntimeSystemContext(id, [{ text: "one" }]).then(note("apply one")),
      service.readHistory(id).then(note("history")),
      service.applyRuntimeSystemContext(id, [{ text: "two" }]).then(note("apply two")),
      turn.then(note("turn")),
    ]);
    expect(done).toEqual(["turn", "export", "apply one", "history", "apply two"]);
    const log = JSON.parse((await service.startTurn(id, { prompt: "log" })).text) as string[];
    expect(log).not.toContain("OVERLAP");
    const first = log.slice(log.indexOf("runEnded"));
    expect(first.filter((call) => /^(clone|apply|runEnded)/.test(call))).toEqual(["runEnded", "clone", "apply:one", "clone", "apply:two"]);
  });
});
