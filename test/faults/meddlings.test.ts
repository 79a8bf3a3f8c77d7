import { faultTable } from "./fault-table.ts";

faultTable("What a thread lets anybody reach", [
  { name: "posts garbage on `parentPort`", does: { turn: "parentPortGarbage" } },
  { name: "closes `parentPort`", does: { turn: "parentPortClosed" } },
  { name: "posts garbage on every port that Node shows", does: { turn: "portGarbage" } },
  { name: "closes every port that Node shows", does: { turn: "portsClosed" } },
  { name: "posts garbage, and reports about nobody, on the port of its lane", does: { turn: "lanePortGarbage" } },
  { name: "closes the port of its lane", does: { turn: "lanePortClosed" }, later: "a lane is lost" },
  { name: 'calls `process.emit("uncaughtException")`', does: { turn: "emitUncaught" }, later: "a stray error" },
  {
    name: "removes all listeners of `process`, then throws in a timer",
    does: { turn: "removeListenersThenThrow" },
    later: "a lane is lost",
  },
  {
    name: "exits, with a listener of `exit` that loops for ever",
    does: { turn: "blockAtExit" },
    interrupted: "after a while",
    later: "a lane is lost",
  },
  { name: "calls `process.chdir`", does: { turn: "chdir" } },
  { name: "reads and writes `process.env`", does: { turn: "environment" } },
  { name: "starts a thread of its own and leaves it", does: { turn: "ownThread" } },
]);
