/** What a store knows of epochs beside its rows: over a close, over a crash, over a write that fails. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { LmdbEnv } from "../../dist/src/store/lmdb-env.js";
import { IssuedEpochs } from "../../dist/src/store/issued-epochs.js";
import { openLmdbStore } from "../../dist/src/store/lmdb-open.js";
import type { SessionStore } from "../../src/store/session-store.ts";
import { newSession, turnOf } from "../../src/store/conformance/samples.ts";
import { encodeValue } from "../../src/transport/codec.ts";
import { inDatabase } from "../helpers/store-damage.ts";

let folder: string;
let path: string;
let store: SessionStore;
const open = async (takeOver = false): Promise<void> => {
  store = await openLmdbStore({ path, takeOver, durability: "commit" });
};
/** As when the thread ended without a close: the store is taken over, and what the one before knew is gone. */
const crash = async (): Promise<void> => {
  const before = store;
  await open(true);
  await before.close();
};
const epochOf = async (id: string): Promise<number> => (await store.open(id)).head.epoch;
const RUN = Buffer.from("run");

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "warren-runs-"));
  path = join(folder, "store");
  await open();
  await store.create(newSession("a"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("epochs that were not written", () => {
  test("a wake-up writes nothing; the next turn brings its epoch", async () => {
    const puts = vi.spyOn(LmdbEnv.prototype, "put");
    expect([await epochOf("a"), (await store.fence("a"))?.epoch, await epochOf("a")]).toEqual([2, 3, 4]);
    expect(puts).not.toHaveBeenCalled();
    await store.append(turnOf("a", 1, { epoch: 4 }));
    await store.close();
    await open();
    expect((await store.head("a"))?.epoch).toBe(4);
  });

  test("E2: a close writes what is remembered, so the next run goes on from there", async () => {
    await epochOf("a");
    await store.close();
    await open();
    expect((await store.head("a"))?.epoch).toBe(2);
    await expect(store.append(turnOf("a", 1))).rejects.toMatchObject({ reason: "fenced" });
    await store.append(turnOf("a", 1, { epoch: 2 }));
  });

  test("E1: after a crash every session has a higher epoch than any that was issued, and all of those are refused", async () => {
    await store.create(newSession("b"));
    await epochOf("a");
    const issued = await epochOf("a");
    await crash();
    const known = (await store.head("a"))?.epoch ?? 0;
    expect(known).toBeGreaterThan(issued);
    for (const epoch of [1, 2, issued]) await expect(store.append(turnOf("a", 1, { epoch }))).rejects.toMatchObject({ reason: "fenced" });
    await expect(store.append(turnOf("b", 1))).rejects.toMatchObject({ reason: "fenced" });
    expect(await epochOf("a")).toBe(known + 1);
    expect(await store.create(newSession("c"))).toBeGreaterThan(issued);
    await crash();
    expect(await epochOf("a")).toBeGreaterThan(known + 1);
  });

  test("E2: an epoch survives that its write was taken back", async () => {
    await epochOf("a");
    const put = vi.spyOn(LmdbEnv.prototype, "put").mockImplementation(() => {
      throw new Error("no");
    });
    await expect(store.append(turnOf("a", 1, { epoch: 2 }))).rejects.toMatchObject({ reason: "io" });
    put.mockRestore();
    await expect(store.append(turnOf("a", 1))).rejects.toMatchObject({ reason: "fenced" });
    await store.append(turnOf("a", 1, { epoch: 2 }));
    expect(await epochOf("a")).toBe(3);
  });

  test("E3: when nothing more is remembered, an epoch is in its row before it is issued", async () => {
    vi.spyOn(IssuedEpochs.prototype, "isSpent", "get").mockReturnValue(true);
    expect([await epochOf("a"), (await store.fence("a"))?.epoch]).toEqual([2, 3]);
    const reader = await openLmdbStore({ path, readOnly: true });
    expect((await reader.head("a"))?.epoch).toBe(3);
    await reader.close();
  });

  test("a session that was removed leaves nothing behind, and an archived one keeps its epoch", async () => {
    await epochOf("a");
    await store.remove("a");
    expect(await store.create(newSession("a"))).toBe(1);
    await epochOf("a");
    await store.archive("a", undefined);
    expect((await store.fence("a"))?.epoch).toBe(3);
    await store.archive("a", undefined);
    expect((await store.head("a"))?.epoch).toBe(3);
  });

  test("a store from before there were runs opens, and goes on from what its rows say", async () => {
    await store.close();
    await inDatabase(path, (env) => env.transaction(() => env.remove("meta", RUN)));
    await open();
    expect(await epochOf("a")).toBe(2);
    await crash();
    expect(await epochOf("a")).toBeGreaterThan(2);
  });

  test.each([[Buffer.from([0xc1])], [encodeValue("1")], [encodeValue([-1, true])], [encodeValue([1, 1])]])(
    "a row that is none is damage: %o",
    async (row) => {
      await store.close();
      await inDatabase(path, (env) => env.transaction(() => env.put("meta", RUN, row)));
      await expect(open()).rejects.toMatchObject({ reason: "corrupt", details: { row: "run" } });
    },
  );
});
