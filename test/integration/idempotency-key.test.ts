/** A turn that is asked for again by its idempotency key, over every kind of store there is. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { afterAll, afterEach, describe, expect, test } from "vitest";

import type { SessionError, StoreOptions } from "../../dist/src/index.js";
import { EphemeralSessionService, PersistentSessionService } from "../../dist/src/index.js";
import type { Answers } from "../../dist/src/host/answers.js";
import { IdSource } from "../../dist/src/protocol/ids.js";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";
import { SCRIPTED, deferred, errorOf, script } from "../helpers/hosts.ts";
import { expectNoLeaks } from "../helpers/no-leaks.ts";

expectNoLeaks();
const folder = mkdtempSync(join(tmpdir(), "warren-key-"));
afterAll(() => rmSync(folder, { recursive: true }));
const open: { shutdown(options: { deadlineMs: number }): Promise<void> }[] = [];
afterEach(async () => {
  for (const service of open.splice(0)) await service.shutdown({ deadlineMs: 0 });
});

async function persistent(store: StoreOptions): Promise<PersistentSessionService> {
  const service = await PersistentSessionService.open({ agent: SCRIPTED, lanes: { count: 1 }, store, durability: "commit" });
  open.push(service);
  return service;
}
/** What only servers see. */
const answersOf = (service: PersistentSessionService): Answers => (service as unknown as { answers(): Answers }).answers();
async function ephemeral(): Promise<EphemeralSessionService> {
  const service = await EphemeralSessionService.open({ agent: SCRIPTED, lanes: { count: 1 } });
  open.push(service);
  return service;
}
const userMessages = async (service: PersistentSessionService | EphemeralSessionService, id: string): Promise<number> =>
  (await service.readHistory(id)).messages.filter(({ role }) => role === "user").length;

describe("idempotency key", () => {
  test("of a live session: a good turn's result, once more, whatever followed; another request is refused", async () => {
    const service = await ephemeral();
    const id = await deferred(service);
    const first = await service.startTurn(id, { prompt: "one", idempotencyKey: "k" });
    await service.startTurn(id, { prompt: "two" });
    await service.startTurn(id, { prompt: "three", idempotencyKey: "l" });
    expect(await service.startTurn(id, { prompt: "one", idempotencyKey: "k" })).toEqual(first);
    expect(await errorOf(service.startTurn(id, { prompt: "another", idempotencyKey: "k" }))).toMatchObject({
      code: "IDEMPOTENCY_CONFLICT",
      disposition: "give-up",
      sessionId: id,
      details: { key: "k" },
    });
    expect(await userMessages(service, id)).toBe(3);
    const other = await deferred(service);
    await service.startTurn(other, { prompt: "another", idempotencyKey: "k" });
    expect(await userMessages(service, other)).toBe(1);
  });

  test("what is given again has all that the result had", async () => {
    const service = await ephemeral();
    const id = await deferred(service);
    const prompt = script(
      ["addUsage", { inputTokens: 3, cacheReadTokens: 2 }],
      ["return", { text: "said", structuredOutput: { deep: [1] } }],
    );
    const request = { prompt, idempotencyKey: "k", skillReferences: [{ sourceUuid: "u", skillName: "a-b" }] };
    const first = await service.startTurn(id, request);
    await service.startTurn(id, { prompt: "two" });
    expect(await service.startTurn(id, { ...request, timeoutMs: 1000, onEvent: () => {} })).toEqual(first);
  });

  test("two at once, and one while the first runs: one is admitted, the others are SESSION_BUSY, nothing runs twice", async () => {
    const service = await persistent({ kind: "memory" });
    const id = await deferred(service);
    const request = { prompt: script(["sleep", 50], ["say", "slow"]), idempotencyKey: "k" };
    const settled = await Promise.allSettled([1, 2, 3].map(() => service.startTurn(id, request)));
    expect(settled.map((one) => (one.status === "fulfilled" ? one.value.text : (one.reason as SessionError).code))).toEqual([
      "slow",
      "SESSION_BUSY",
      "SESSION_BUSY",
    ]);
    await service.startTurn(id, { prompt: "two" });
    await service.hibernate(id);
    const again = await Promise.allSettled([1, 2].map(() => service.startTurn(id, request)));
    expect(again.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(await userMessages(service, id)).toBe(2);
  });

  test("a turn that failed or was interrupted is not remembered", async () => {
    const service = await persistent({ kind: "memory" });
    const id = await deferred(service);
    const failing = { prompt: script(["throw", "no"]), idempotencyKey: "k" };
    for (const _ of [1, 2]) expect((await errorOf(service.startTurn(id, failing))).code).toBe("AGENT_ERROR");
    expect((await service.startTurn(id, { prompt: "now another", idempotencyKey: "k" })).text).toBe("now another");
  });

  test("idempotencyScope last_turn: the key of the last good turn only, whatever it asked for", async () => {
    const service = await persistent({ kind: "memory" });
    const id = await deferred(service);
    const ask = async (prompt: string): Promise<string> =>
      (await service.startTurn(id, { prompt, idempotencyKey: "k", idempotencyScope: "last_turn" })).text;
    expect([await ask("one"), await ask("two")]).toEqual(["one", "one"]);
    await service.startTurn(id, { prompt: "between" });
    expect([await ask("two"), await userMessages(service, id)]).toEqual(["two", 3]);
  });

  test("a store that remembers no turns: the last good one is known", async () => {
    const service = await persistent({ kind: "module", module: new URL("../fixtures/json-store.mjs", import.meta.url) });
    const id = await deferred(service);
    const first = await service.startTurn(id, { prompt: "one", idempotencyKey: "k" });
    await service.hibernate(id);
    expect(await service.startTurn(id, { prompt: "one", idempotencyKey: "k" })).toEqual(first);
    await service.startTurn(id, { prompt: "two" });
    await service.startTurn(id, { prompt: "one", idempotencyKey: "k" });
    expect([await userMessages(service, id), answersOf(service).isDurable]).toEqual([3, false]);
  });

  test.each<[string, () => StoreOptions]>([
    ["memory", () => ({ kind: "memory" })],
    ["lmdb", () => ({ kind: "lmdb", path: join(folder, "wakes") })],
  ])("%s: of a session that wakes", async (_, store) => {
    const service = await persistent(store());
    const id = await deferred(service);
    const first = await service.startTurn(id, { prompt: "one", idempotencyKey: "k" });
    await service.hibernate(id);
    expect(await service.startTurn(id, { prompt: "one", idempotencyKey: "k" })).toEqual(first);
    await service.startTurn(id, { prompt: "two" });
    await service.hibernate(id);
    expect(await service.startTurn(id, { prompt: "one", idempotencyKey: "k" })).toEqual(first);
    expect((await errorOf(service.startTurn(id, { prompt: "x", idempotencyKey: "k" }))).code).toBe("IDEMPOTENCY_CONFLICT");
    expect(await userMessages(service, id)).toBe(2);
  });

  test("lmdb: by another host, after the first one's end", async () => {
    const store: StoreOptions = { kind: "lmdb", path: join(folder, "hosts") };
    const before = await persistent(store);
    const id = await deferred(before);
    const first = await before.startTurn(id, { prompt: "one", idempotencyKey: "k" });
    await before.shutdown();
    const service = await persistent(store);
    expect(await service.startTurn(id, { prompt: "one", idempotencyKey: "k" })).toEqual(first);
    expect(await userMessages(service, id)).toBe(1);
  });

  test("with the session it goes: a new one of its id knows nothing of it", async () => {
    const service = await persistent({ kind: "lmdb", path: join(folder, "purged") });
    const sessionId = new IdSource().next(Date.now());
    const request = { sessionId, prompt: "one", idempotencyKey: "k" };
    await service.createSession(request);
    await service.archive(sessionId);
    expect((await errorOf(service.createSession(request))).details).toMatchObject({ reason: "taken" });
    await service.purge(sessionId);
    await service.createSession({ ...request, prompt: "two" });
    expect((await service.startTurn(sessionId, { prompt: "two", idempotencyKey: "k" })).text).toBe("two");
    expect(await userMessages(service, sessionId)).toBe(1);
  });

  test.each(["", "k".repeat(1025), "\ud83d"])("a key must be well-formed and have 1 to 1,024 characters", async (idempotencyKey) => {
    const service = await persistent({ kind: "memory" });
    const id = await deferred(service);
    const error = await errorOf(service.startTurn(id, { prompt: "x", idempotencyKey }));
    expect(error).toMatchObject({ code: "INVALID_PARAMS", details: { field: "request.idempotencyKey" } });
  });
});

interface Line {
  readonly asked?: number;
  readonly answered?: number;
  readonly text?: string;
}

/** Start a server of fixtures/keyed-crash.mjs, and kill it behind its `lines`-th line, or while it opens. @returns what it said */
async function killed(options: object, lines: number): Promise<Line[]> {
  const fixture = fileURLToPath(new URL("../fixtures/keyed-crash.mjs", import.meta.url));
  const child = spawn(process.execPath, [fixture, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const said: Line[] = [];
  for await (const line of createInterface(child.stdout)) {
    said.push(JSON.parse(line) as Line);
    if (said.length === lines) child.kill("SIGKILL");
  }
  await exited;
  return said;
}

describe("a server that is killed", () => {
  test.each([1, 2])("round %i: what was asked and not answered is asked again, after other turns: each ran once", async (round) => {
    const random = randomOf(CRASH_SEED + round);
    const options = { path: join(folder, `killed ${round}`), id: new IdSource().next(Date.now()) };
    const asked = new Set<number>();
    const answers = new Map<number, string>();
    for (let life = 0; life < 4; life++) {
      // An odd line says that something was asked: killed there, its turn may have been committed, and nobody was told.
      const said = await killed({ ...options, from: 1000 * (life + 1) }, life === 0 ? 1 : 1 + Math.floor(random() * 30));
      for (const line of said) {
        if (line.asked !== undefined) asked.add(line.asked);
        if (line.answered !== undefined) answers.set(line.answered, line.text as string);
      }
    }
    const service = await persistent({ kind: "lmdb", path: options.path });
    await service.startTurn(options.id, { prompt: "somebody else's" }).catch(() => {}); // the session need not be there yet
    for (const n of asked) {
      const { text } = await service.startTurn(options.id, { prompt: `turn ${n}`, idempotencyKey: `k${n}` });
      expect([n, answers.get(n) ?? text]).toEqual([n, text]);
    }
    const prompts = (await service.readHistory(options.id)).messages.flatMap((message) =>
      message.role === "user" ? [message.content] : [],
    );
    const ran = prompts.filter((prompt) => prompt.startsWith("turn "));
    expect({ seed: CRASH_SEED, ran: [...ran].sort() }).toEqual({ seed: CRASH_SEED, ran: [...asked].map((n) => `turn ${n}`).sort() });
    const created = await answersOf(service).get("create");
    expect(new TextDecoder().decode(created)).toBe("turn 0");
  });
});
