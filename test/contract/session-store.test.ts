/** Every store that there is passes the conformance suite, a third party's among them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

import { runConformance, storeConformance } from "../../dist/src/store/conformance/index.js";
import { openLmdbStore } from "../../dist/src/store/lmdb-open.js";
import { MemoryStore } from "../../dist/src/store/memory-store.js";
import type { SessionStore } from "../../dist/src/store/session-store.js";
import { changeRows, numberOfSession } from "../helpers/store-damage.ts";

const folder = mkdtempSync(join(tmpdir(), "warren-stores-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const LMDB = new URL("../../dist/src/store/lmdb.js", import.meta.url).href;
const JSON_STORE = new URL("../fixtures/json-store.mjs", import.meta.url).href;

type Open = (name: string) => Promise<SessionStore>;
/** How a store is opened, and opened again. */
const openedBy = (open: Open) => ({
  open,
  reopen: async (store: SessionStore, name: string): Promise<SessionStore> => {
    await store.close();
    return open(name);
  },
});

describe("memory", () => {
  runConformance({ describe, test }, { open: () => Promise.resolve(new MemoryStore()) });
});

describe.each(["fsync", "commit"] as const)("lmdb, %s", (durability) => {
  const optionsOf = (name: string) => ({ path: join(folder, durability, name), durability });
  const open = (name: string): Promise<SessionStore> => openLmdbStore(optionsOf(name));
  runConformance(
    { describe, test },
    {
      ...openedBy(open),
      crash: { module: LMDB, options: optionsOf, recover: open },
      corrupt: async (store, name, session) => {
        await store.close();
        const { path } = optionsOf(name);
        const number = await numberOfSession(path, session);
        // A row of the log is cut short: its key begins with the session's number in five bytes.
        await changeRows(path, "log", (key, value) => (key[4] === number ? value.subarray(0, value.length - 3) : undefined));
        return open(name);
      },
    },
  );
});

describe("a third party's module", async () => {
  const { createSessionStore } = (await import(JSON_STORE)) as { createSessionStore: (options: { path: string }) => SessionStore };
  const optionsOf = (name: string) => ({ path: join(folder, `${name}.json`) });
  const open = (name: string): Promise<SessionStore> => Promise.resolve(createSessionStore(optionsOf(name)));
  runConformance(
    { describe, test },
    {
      ...openedBy(open),
      crash: { module: JSON_STORE, options: optionsOf, recover: open },
    },
  );
});

test("checks of what a store cannot do are left out", () => {
  const groups = (options: object): Set<string> =>
    new Set(storeConformance({ open: () => Promise.resolve(new MemoryStore()), ...options }).map(({ group }) => group));
  expect(groups({})).not.toContain("reopen");
  expect([...groups({ reopen: true, crash: true, corrupt: true })]).toEqual(
    expect.arrayContaining(["reopen", "crash", "damage", "baseline"]),
  );
});
