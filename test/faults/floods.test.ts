import { faultTable } from "./fault-table.ts";

faultTable("Floods of events", [
  { name: "emits 5,000 events and awaits each", does: { turn: "floodAwaited" }, listens: true },
  { name: "emits 5,000 events, awaits each, and nobody listens", does: { turn: "floodAwaited" } },
  { name: "emits 50,000 events without awaiting", does: { turn: "floodUnawaited" }, listens: true },
  { name: "emits 50,000 events without awaiting, and nobody listens", does: { turn: "floodUnawaited" } },
  { name: "emits too many and swallows the error", does: { turn: "floodSwallowed" }, listens: true },
  { name: "emits events of 16 MiB and awaits each", does: { turn: "floodHuge" }, listens: true },
  { name: "emits 400 events of 1 MiB without awaiting", does: { turn: "floodHugeUnawaited" }, listens: true },
  { name: "emits 50,000 events when its turn is over", does: { turn: "floodAfterEnd" }, listens: true, later: "a stray error" },
  { name: "emits for ever and awaits", does: { turn: "floodForEver" }, interrupted: "once it runs" },
  { name: "emits and awaits without end after its interrupt", does: { turn: "floodAfterAbort" }, interrupted: "once it runs" },
  { name: "emits what is not an event", does: { turn: "notEvents" } },
]);
