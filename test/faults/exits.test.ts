import { faultTable } from "./fault-table.ts";

const GONE = { later: "a lane is lost" } as const;

faultTable("Ends of the thread", [
  { name: "calls `process.exit` in a turn", does: { turn: "exitAtOnce" }, ...GONE },
  { name: "calls `process.exit` in a turn, in a dedicated lane", does: { turn: "exitAtOnce" }, dedicated: true, ...GONE },
  { name: "calls it in one turn, and then in the next", does: { turn: "exitAtOnce" }, again: true, ...GONE },
  { name: "calls it after an await", does: { turn: "exitAfterAwait" }, ...GONE },
  { name: "calls it in a timer, between turns", does: { turn: "exitInTimer" }, ...GONE },
  { name: "calls it when the turn is interrupted", does: { turn: "exitOnAbort" }, interrupted: "once it runs", ...GONE },
  { name: "calls it in the builder", does: { create: "exitInBuilder" }, ...GONE },
  { name: "calls it in the builder, after an await", does: { create: "exitInBuilderLater" }, ...GONE },
  { name: "calls it in the builder, when its session wakes", does: { wake: "exitOnWake" }, storeOnly: true, ...GONE },
  { name: "calls it in `snapshot()`, after a turn", does: { second: "exitInSnapshot" }, ...GONE },
  { name: "calls it in `dispose()`", does: { archive: "exitInDispose" }, ...GONE },
  { name: "calls `process.reallyExit`", does: { turn: "reallyExit" }, ...GONE },
  { name: "calls `process.abort`", does: { turn: "abort" } },
  { name: "sets `process.exitCode`", does: { turn: "exitCodeSet" } },
]);
