/** What an agent's handle gives or throws crosses to main as data, whatever it is. */
import { expect, test } from "vitest";

import { handleApi } from "../../src/lane/handle-server.ts";
import type { SessionActor } from "../../src/lane/session-actor.ts";
import { SessionError } from "../../src/protocol/errors.ts";

function apiOf(inject: () => unknown): ReturnType<typeof handleApi> {
  const handles = { eventInjector: { inject } };
  return handleApi({ tenure: { handles }, entered: (work: () => unknown) => work() } as unknown as SessionActor, "eventInjector");
}
const throwing = (error: unknown) => (): never => {
  throw error;
};

test("one of our errors crosses with its code, and with details that are JSON", async () => {
  const outcome = await apiOf(throwing(new SessionError("SESSION_BUSY", "mine", { details: { a: 1 } }))).call("inject", []);
  expect(outcome).toEqual({ ok: false, error: { code: "SESSION_BUSY", message: "mine", details: { a: 1 } } });
});

test("one of our errors whose details no port takes is described like any other", async () => {
  for (const detail of [() => 1, new Set([1]), 5n]) {
    const outcome = await apiOf(throwing(new SessionError("SESSION_BUSY", "mine", { details: { detail } }))).call("inject", []);
    expect(outcome).toMatchObject({ ok: false, error: { code: "AGENT_ERROR" } });
    expect(structuredClone(outcome)).toEqual(outcome);
  }
});

test("streams that are left open end with their port", async () => {
  let hasEnded = false;
  const events = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: 1 }),
      return: async () => ((hasEnded = true), { done: true, value: undefined }),
    }),
  };
  const actor = { tenure: { handles: { eventInjector: { injectWithSubscription: () => ({ id: "i", events }) } } } };
  const api = handleApi({ ...actor, entered: (work: () => unknown) => work() } as unknown as SessionActor, "eventInjector");
  expect(await api.subscribe("body", "rpc")).toEqual({ ok: true, value: { id: "i", stream: 1 } });
  await api.end();
  expect([hasEnded, await api.next(1)]).toEqual([true, { ok: true, value: { done: true } }]);
});

test("methods that are not a handle's are not reached", async () => {
  for (const name of ["constructor", "__proto__", "toString", "other"]) {
    expect(await apiOf(() => 1).call(name, [])).toMatchObject({ ok: false, error: { code: "SESSION_UNSUPPORTED" } });
  }
});
