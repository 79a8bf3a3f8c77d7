/** From a host's options to its store. */
import type { StoreSettings } from "../protocol/options.ts";
import { StoreError } from "../protocol/store-error.ts";
import { MemoryStore } from "./memory-store.ts";
import type { SessionStore, SessionStoreModule } from "./session-store.ts";
import type { CommitCounts } from "./store-counts.ts";

/** The methods a store must have to be one. */
const STORE_METHODS = [
  "create",
  "open",
  "fence",
  "append",
  "rewrite",
  "head",
  "messages",
  "list",
  "archive",
  "remove",
  "context",
  "putContext",
  "close",
] as const satisfies readonly (keyof SessionStore)[];

/** @param commits - where Warren's own store on disk counts its commits. @throws StoreError when it cannot be opened, naming what and where */
export async function openStore({ store, durability }: StoreSettings, commits?: CommitCounts): Promise<SessionStore> {
  switch (store.kind) {
    case "memory":
      return new MemoryStore();
    case "lmdb": {
      // Loaded when it is wanted: it is a native addon.
      const { openLmdbStore } = await import("./lmdb-open.ts");
      return openLmdbStore({ path: store.path, mapSizeBytes: store.mapSizeBytes, durability, takeOver: true, commits });
    }
    case "module":
      return openModule(store.module, store.options);
    default:
      return store satisfies never;
  }
}

async function openModule(specifier: string, options: unknown): Promise<SessionStore> {
  const where = { module: specifier };
  let module: Partial<SessionStoreModule>;
  try {
    module = (await import(specifier)) as Partial<SessionStoreModule>;
  } catch (error) {
    throw new StoreError("unwritable", `the store's module ${specifier} does not load: ${String(error)}`, where, error);
  }
  if (typeof module.createSessionStore !== "function") {
    throw new StoreError("invalid", `the store's module ${specifier} does not export createSessionStore`, where);
  }
  let store: SessionStore;
  try {
    store = await module.createSessionStore(options);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError("io", `createSessionStore of ${specifier} failed: ${String(error)}`, where, error);
  }
  const missing = STORE_METHODS.find((method) => typeof (store as Partial<SessionStore> | undefined)?.[method] !== "function");
  if (missing !== undefined) throw new StoreError("invalid", `the store of ${specifier} has no ${missing}()`, where);
  return store;
}
