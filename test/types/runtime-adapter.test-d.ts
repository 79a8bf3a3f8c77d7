/** The names and shapes of the runtime adapter and of what it is given. */
import { describe, expectTypeOf, test } from "vitest";

import type * as warren from "../../src/index.ts";

describe("the runtime adapter", () => {
  type Adapter = warren.RuntimeAdapter;
  type Id = warren.SessionId;

  test("a service that lives in memory always has one, one with a store may have", () => {
    expectTypeOf<warren.EphemeralSessionService["runtimeAdapter"]>().returns.toEqualTypeOf<Adapter>();
    expectTypeOf<warren.PersistentSessionService["runtimeAdapter"]>().returns.toEqualTypeOf<Adapter | undefined>();
    expectTypeOf<warren.EphemeralSessionService>().toExtend<warren.MobSessionService>();
    expectTypeOf<warren.PersistentSessionService>().toExtend<warren.MobSessionService>();
  });

  test("what it offers", () => {
    expectTypeOf<keyof Adapter>().toEqualTypeOf<
      | "register"
      | "unregister"
      | "attach"
      | "detach"
      | "acceptInput"
      | "state"
      | "retire"
      | "reset"
      | "stop"
      | "destroy"
      | "list"
      | "controlAuthority"
    >();
    expectTypeOf<Adapter["state"]>().returns.toEqualTypeOf<
      "initializing" | "idle" | "attached" | "running" | "retired" | "stopped" | "destroyed" | undefined
    >();
    expectTypeOf<Adapter["acceptInput"]>().toBeCallableWith("id", { prompt: "p" });
    expectTypeOf<Adapter["acceptInput"]>().toBeCallableWith("id", { prompt: "p", inputId: "i", runId: "r", boundary: "run_checkpoint" });
    expectTypeOf<Adapter["retire"]>().returns.resolves.toEqualTypeOf<{ abandoned: number; drained: number }>();
    expectTypeOf<warren.InputTicket["outcome"]>().resolves.toEqualTypeOf<warren.CoreApplyOutput>();
  });

  test("an input is a turn's request without what cannot be kept, or what it has itself", () => {
    expectTypeOf<warren.RuntimeInput>().not.toHaveProperty("onEvent");
    expectTypeOf<warren.RuntimeInput>().not.toHaveProperty("onBusy");
    expectTypeOf<warren.RuntimeInput>().not.toHaveProperty("idempotencyKey");
    expectTypeOf<warren.RuntimeInput["executionKind"]>().toEqualTypeOf<warren.StartTurnRequest["executionKind"]>();
  });

  test("nothing but an authority is one", () => {
    expectTypeOf<warren.MobSessionService["interruptWithMachineAuthority"]>().toEqualTypeOf<
      (id: Id, authority: warren.MachineSessionControlAuthority) => Promise<void>
    >();
    expectTypeOf<object>().not.toExtend<warren.MachineSessionControlAuthority>();
    expectTypeOf<Adapter["controlAuthority"]>().returns.toEqualTypeOf<warren.MachineSessionControlAuthority>();
  });
});
