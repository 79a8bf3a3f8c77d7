import { faultTable } from "./fault-table.ts";

const SMALL = { options: { lanes: { resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 16 } } } } as const;
const GONE = { ...SMALL, later: "a lane is lost" } as const;

faultTable("Memory and stack", [
  { name: "fills its heap with arrays", does: { turn: "heapArrays" }, ...GONE },
  { name: "fills its heap, in a dedicated lane", does: { turn: "heapArrays" }, dedicated: true, ...GONE },
  { name: "fills its heap after an await", does: { turn: "heapArraysLater" }, ...GONE },
  { name: "fills its heap with strings", does: { turn: "heapStrings" }, ...GONE },
  { name: "fills its heap in an endless chain of promises", does: { turn: "heapPromises" }, ...GONE },
  { name: "fills its heap in a timer, between turns", does: { turn: "heapBetweenTurns" }, ...GONE },
  { name: "makes a string longer than a string can be", does: { turn: "stringTooLong" } },
  { name: "holds Buffers of 256 MiB in a lane of 48 MiB", does: { turn: "buffers" }, ...SMALL },
  { name: "asks for an ArrayBuffer larger than the address space", does: { turn: "bufferTooLong" } },
  { name: "leaves 1,000 timers running", does: { turn: "manyTimers" } },
  { name: "leaves 2,000 listeners", does: { turn: "manyListeners" } },
  { name: "recurses without end", does: { turn: "recursion" } },
  { name: "recurses without end, asynchronously", does: { turn: "recursionAsync" } },
  {
    name: "recurses without end, with a stack of 16 MiB",
    does: { turn: "recursion" },
    options: { lanes: { resourceLimits: { stackSizeMb: 16 } } },
  },
  { name: "catches the end of the stack and goes on", does: { turn: "recursionThatCatches" } },
  { name: "emits at the end of the stack", does: { turn: "recursionThatEmits" }, listens: true },
  { name: "appends messages at the end of the stack", does: { turn: "recursionThatAppends" }, mayStray: true },
  { name: "saves checkpoints at the end of the stack", does: { turn: "recursionThatCheckpoints" }, mayStray: true },
  { name: "takes its system prompt at the end of the stack", does: { turn: "recursionThatTakesContext" } },
]);
