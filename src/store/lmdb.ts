/** The lmdb store as a store module: what a thread, or a process of its own, imports by name. */
export { openLmdbStore as createSessionStore } from "./lmdb-open.ts";
