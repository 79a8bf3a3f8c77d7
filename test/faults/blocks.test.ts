import { faultTable } from "./fault-table.ts";

const RUNS = { interrupted: "once it runs" } as const;
const BLOCKS = { interrupted: "once it runs", later: "a lane is lost" } as const;
const KILL = { options: { laneStallMs: 1000, laneStallPolicy: "kill" } } as const;

faultTable("Blocking, and interrupts that are ignored", [
  { name: "loops for ever, before its first await", does: { turn: "loopAtOnce" }, interrupted: "after a while", later: "a lane is lost" },
  { name: "loops for ever, after an await", does: { turn: "loopAfterAwait" }, ...BLOCKS },
  { name: "loops for ever, in a dedicated lane", does: { turn: "loopAfterAwait" }, dedicated: true, ...BLOCKS },
  { name: 'loops for ever and nobody interrupts, with `laneStallPolicy: "kill"`', does: { turn: "loopAfterAwait" }, ...KILL },
  {
    name: 'loops for ever in a timer, between turns, with `laneStallPolicy: "kill"`',
    does: { turn: "loopBetweenTurns" },
    later: "a lane is lost",
    ...KILL,
  },
  { name: "waits in `Atomics.wait`", does: { turn: "atomicsWait" }, ...BLOCKS },
  { name: "loops and looks at `isInterrupted()`", does: { turn: "loopThatPolls" }, ...RUNS },
  { name: "awaits without end, never leaving the microtasks", does: { turn: "microtasks" }, ...BLOCKS },
  { name: "fills `process.nextTick` without end", does: { turn: "nextTicks" }, ...BLOCKS },
  { name: "fills `setImmediate` without end", does: { turn: "immediates" }, ...RUNS },
  { name: 'loops for ever in the builder, with `laneStallPolicy: "kill"`', does: { create: "loopInBuilder" }, ...KILL },
  {
    name: 'loops for ever in the builder, when its session wakes, with `laneStallPolicy: "kill"`',
    does: { wake: "loopOnWake" },
    storeOnly: true,
    ...KILL,
  },
  { name: 'loops for ever in `snapshot()`, after a turn, with `laneStallPolicy: "kill"`', does: { second: "loopInSnapshot" }, ...KILL },
  {
    name: 'loops for ever in `dispose()`, with `laneStallPolicy: "kill"`',
    does: { archive: "loopInDispose" },
    later: "a lane is lost",
    ...KILL,
  },
  { name: "never ends its `dispose()`", does: { archive: "hangInDispose" } },
  { name: "never ends, and does not look at its signal", does: { turn: "hang" }, ...RUNS },
  { name: "answers long after its interrupt", does: { turn: "resolveLate" }, ...RUNS },
  { name: "fails long after its interrupt", does: { turn: "rejectLate" }, ...RUNS },
  { name: "emits and appends after its interrupt, without end", does: { turn: "emitAfterAbort" }, ...RUNS },
  { name: "throws in a listener of its signal", does: { turn: "throwOnAbort" }, ...RUNS },
  { name: "loops for ever in a listener of its signal", does: { turn: "loopOnAbort" }, ...BLOCKS },
]);
