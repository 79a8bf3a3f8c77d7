import { faultTable } from "./fault-table.ts";

/** What the row is called, and the change in fixtures/faults/changes.mjs. */
const CHANGES: readonly (readonly [name: string, fault: string])[] = [
  ["puts members on `Object.prototype`", "objectPrototypeMembers"],
  ["puts an accessor that throws on `Object.prototype`", "objectPrototypeSetter"],
  ["makes every object a thenable", "objectPrototypeThen"],
  ["replaces `Array.prototype.push` by one that throws", "arrayPush"],
  ["replaces the iterator of arrays by one that throws", "arrayIterator"],
  ["replaces `Array.prototype.slice` by one that lies", "arraySlice"],
  ["puts an accessor that throws on `Array.prototype[0]`", "arrayIndex"],
  ["replaces `Map.prototype.get` by one that finds nothing", "mapGet"],
  ["replaces `Map.prototype.set` by one that throws", "mapSet"],
  ["replaces `Set.prototype.add` by one that throws", "setAdd"],
  ["replaces `Promise.prototype.then` by one that never calls back", "promiseThen"],
  ["replaces `Promise.prototype.then` by one that throws", "promiseThenThrows"],
  ["replaces `Promise.prototype.finally` by one that throws", "promiseFinally"],
  ["replaces `Promise.resolve` by one that never resolves", "promiseResolve"],
  ["removes `Promise`", "promiseGone"],
  ["breaks `call`, `apply` and `bind`", "functionCall"],
  ["breaks `JSON`", "json"],
  ["breaks `structuredClone`", "structuredClone"],
  ["makes `queueMicrotask` do nothing", "queueMicrotask"],
  ["makes `process.nextTick` do nothing", "nextTick"],
  ["makes `setTimeout` and `setInterval` do nothing", "setTimeout"],
  ["makes `setImmediate` do nothing", "setImmediate"],
  ["makes `Date.now` say 0", "dateNow"],
  ["makes `Date.now` throw", "dateNowThrows"],
  ["makes `performance.now` say 0", "performanceNow"],
  ["makes `Atomics.load` say 0", "atomicsLoad"],
  ["makes `Atomics.store` do nothing", "atomicsStore"],
  ["makes `Atomics.compareExchange` do nothing", "atomicsCompareExchange"],
  ["makes `Atomics.add` throw", "atomicsAdd"],
  ["makes ports' `postMessage` do nothing", "postMessage"],
  ["removes `Uint8Array`", "uint8Array"],
  ["makes every typed array empty", "typedArrayLength"],
  ["makes `Error.prepareStackTrace` throw", "errorStack"],
  ["removes `AbortController`", "abortController"],
  ["breaks `Object.keys`, `entries`, `hasOwn` and `freeze`", "objectKeys"],
  ["freezes every prototype", "everythingFrozen"],
  ["wraps `Array.prototype.push`, rightly", "arrayPushWrapped"],
];

/** Not prevented: what they do to others in their lane is looked at in hosts of their own. */
const POSSIBLE = ["errorStack", "everythingFrozen"];
/** Methods of arrays are watched, not fixed: the lane ends. */
const WATCHED = ["arrayPush", "arrayIterator", "arraySlice", "arrayPushWrapped"];

faultTable(
  "Changes of what all agents of a lane share",
  CHANGES.map(([name, turn]) => ({
    name,
    does: { turn },
    ...(POSSIBLE.includes(turn) && { stains: true }),
    ...(WATCHED.includes(turn) && { later: "a lane is lost" as const }),
  })),
);
