/** The facade's defaults, for a service of somebody else's: F1, F4–F7, F10, F11, F14–F16, F18. */
import { describe, expect, test } from "vitest";

import { MobSessionServiceDefaults } from "../../src/host/mob-defaults.ts";
import { SessionError, notFound } from "../../src/protocol/errors.ts";
import type { AppendSystemContextRequest } from "../../src/protocol/requests.ts";

class Theirs extends MobSessionServiceDefaults {
  readonly archived: string[] = [];
  readonly staged: AppendSystemContextRequest[] = [];
  failAt = Infinity;
  error = new SessionError("SESSION_SYSTEM_CONTEXT_CONFLICT", "the key maps to different content");

  async archive(id: string): Promise<void> {
    this.archived.push(id);
  }

  async appendSystemContext(_id: string, request: AppendSystemContextRequest): Promise<{ status: "staged" }> {
    if (this.staged.length >= this.failAt) throw this.error;
    this.staged.push(request);
    return { status: "staged" };
  }
}

const errorOf = (call: Promise<unknown>): Promise<unknown> => call.then(() => undefined).catch((error: unknown) => error);

describe("MobSessionServiceDefaults", () => {
  test("F1, F4–F7: it tells nothing", async () => {
    const theirs = new Theirs();
    expect(theirs.supportsPersistentSessions()).toBe(false);
    expect(await theirs.executionSnapshot("s")).toBeUndefined();
    expect(await theirs.toolScopeSnapshot("s")).toBeUndefined();
    expect(await theirs.externalToolSurfaceSnapshot("s")).toBeUndefined();
    expect(await theirs.peerIngressRuntimeSnapshot("s")).toBeUndefined();
    expect(await theirs.sessionBelongsToMob("s", "m")).toBe(false);
    expect(await theirs.loadPersistedSession("s")).toBeUndefined();
  });

  test("FK4: it makes no forks", async () => {
    expect(await errorOf(new Theirs().forkSession("s"))).toMatchObject({
      code: "SESSION_UNSUPPORTED",
      message: "unsupported: fork of session s",
      sessionId: "s",
    });
  });

  test("F10: a runtime turn is unavailable", async () => {
    const error = await errorOf(new Theirs().applyRuntimeTurn("s", "r", { prompt: "" }, "immediate", []));
    expect(error).toMatchObject({
      code: "AGENT_ERROR",
      agentError: { kind: "internal_error", message: "runtime-backed apply is unavailable for this session service" },
    });
  });

  test("F11: appends are staged one by one, and the receipt knows no transcript", async () => {
    const theirs = new Theirs();
    const appends = [{ text: "a", source: "s", idempotencyKey: "k", acceptedAt: 1 }, { text: "b" }];
    expect(await theirs.applyRuntimeContextAppends("s", "r", appends, ["i2", "i1"])).toEqual({
      receipt: { runId: "r", boundary: "immediate", contributingInputIds: ["i2", "i1"], messageCount: 0, sequence: 0 },
    });
    expect(theirs.staged).toEqual([
      { text: "a", source: "s", idempotencyKey: "k" },
      { text: "b", source: undefined, idempotencyKey: undefined },
    ]);
  });

  test("F11, F18: the first refusal ends it; what staging refuses is AGENT_ERROR with its text, the rest is unchanged", async () => {
    const theirs = new Theirs();
    theirs.failAt = 1;
    const appends = [{ text: "a" }, { text: "b" }, { text: "c" }];
    const call = (): Promise<unknown> => errorOf(theirs.applyRuntimeContextAppendsWithBoundary("s", "r", appends, "run_start", []));
    expect(await call()).toMatchObject({
      code: "AGENT_ERROR",
      agentError: { kind: "internal_error", message: "the key maps to different content" },
    });
    expect(theirs.staged).toHaveLength(1);
    theirs.error = new SessionError("INVALID_PARAMS", "invalid request.text: must not be empty");
    expect(await call()).toMatchObject({ code: "AGENT_ERROR", agentError: { message: "invalid request.text: must not be empty" } });
    theirs.error = notFound("s");
    expect(await call()).toBe(theirs.error);
  });

  test("F13: context for a turn is unavailable", async () => {
    expect(await errorOf(new Theirs().applyRuntimeSystemContextForTurn("s", []))).toMatchObject({
      agentError: { message: "runtime-backed context staging is unavailable for this session service" },
    });
  });

  test("F14–F16: the rest is Ok", async () => {
    const theirs = new Theirs();
    await theirs.checkpointCommittedRuntimeSessionSnapshot("s", new Uint8Array());
    await theirs.discardLiveSession("s");
    await theirs.cancelAllCheckpointers();
    await theirs.rearmAllCheckpointers();
  });

  test("F2, F3, F8: it has no machine; an archive is an archive, unless there is one", async () => {
    const theirs = new Theirs();
    const authority = null as never;
    expect(theirs.runtimeAdapter()).toBeUndefined();
    const text = (operation: string): string =>
      `unsupported: ${operation} for runtime-backed mob session s must be implemented by the machine-owned session service`;
    expect(await errorOf(theirs.interruptWithMachineAuthority("s", authority))).toMatchObject({
      code: "SESSION_UNSUPPORTED",
      message: text("interrupt"),
    });
    expect(await errorOf(theirs.cancelAfterBoundaryWithMachineAuthority("s", authority))).toMatchObject({
      code: "SESSION_UNSUPPORTED",
      message: text("cancel_after_boundary"),
    });
    await theirs.archiveWithMobLifecycleAuthority("s");
    theirs.runtimeAdapter = () => ({}) as never;
    expect(await errorOf(theirs.archiveWithMobLifecycleAuthority("s"))).toMatchObject({ message: text("archive") });
    expect(theirs.archived).toEqual(["s"]);
  });
});
