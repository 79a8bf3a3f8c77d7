/** Seam for tests and benchmarks: not part of the public surface, not in package.json's exports. */
export { SessionHost } from "./host/session-host.ts";
export { SlotTable } from "./core/slot-table.ts";
export * as turnLock from "./core/turn-lock.ts";
export { StoreThread } from "./host/store-thread.ts";
export type { StoreSeat } from "./host/store-thread.ts";
export type { LaneEnd, LaneThread } from "./host/lane-thread.ts";
export type { StartThread } from "./host/lane-pool.ts";
