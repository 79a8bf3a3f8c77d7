/** A turn that is asked for again by its idempotency key, over every kind of store there is. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, describe, expect, test } from "vitest";

import type { StoreOptions } from "../../dist/src/index.js";
import { EphemeralSessionService, PersistentSessionService } from "../../dist/src/index.js";
import { SCRIPTED, deferred, errorOf } from "../helpers/hosts.ts";
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
const userMessages = async (service: PersistentSessionService | EphemeralSessionService, id: string): Promise<number> =>
  (await service.readHistory(id)).messages.filter(({ role }) => role === "user").length;

describe("idempotency key", () => {
  test("of a live session: the last good turn's result, once more", async () => {
    const service = await EphemeralSessionService.open({ agent: SCRIPTED, lanes: { count: 1 } });
    open.push(service);
    const id = await deferred(service);
    const first = await service.startTurn(id, { prompt: "one", idempotencyKey: "k" });
    expect(await service.startTurn(id, { prompt: "another", idempotencyKey: "k" })).toEqual(first);
    expect(await userMessages(service, id)).toBe(1);
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
    await service.startTurn(id, { prompt: "one", idempotencyKey: "k" }); // no longer the last
    expect(await userMessages(service, id)).toBe(3);
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

  test.each(["", "k".repeat(1025)])("a key must have 1 to 1,024 characters", async (idempotencyKey) => {
    const service = await persistent({ kind: "memory" });
    const id = await deferred(service);
    const error = await errorOf(service.startTurn(id, { prompt: "x", idempotencyKey }));
    expect(error).toMatchObject({ code: "INVALID_PARAMS", details: { field: "request.idempotencyKey" } });
  });
});
