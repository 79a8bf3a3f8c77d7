import { describe, expect, test } from "vitest";

import {
  AgentError,
  CANCELLED,
  TurnInterrupted,
  buildFailure,
  describeError,
  saveFailure,
  turnFailure,
} from "../../src/lane/agent-errors.ts";
import { SessionError, agentFailure } from "../../src/protocol/errors.ts";

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Values an agent may throw that fight back when they are looked at. */
const HOSTILE: [string, unknown][] = [
  [
    "a getter that throws",
    Object.defineProperty({}, "message", {
      get: () => {
        throw new Error("no");
      },
    }),
  ],
  [
    "a proxy that throws",
    new Proxy(
      {},
      {
        get: () => {
          throw new Error("no");
        },
        has: () => {
          throw new Error("no");
        },
      },
    ),
  ],
  ["a proxy that refuses to say what it is", revoked()],
  ["an object without a text", Object.create(null)],
  [
    "a code behind a getter that throws",
    Object.defineProperty({}, "code", {
      get: () => {
        throw new Error("no");
      },
    }),
  ],
  ["a symbol", Symbol("s")],
  ["undefined", undefined],
  ["null", null],
  ["a function", () => 1],
];

describe("turnFailure", () => {
  test.each<[string, unknown, object]>([
    ["an Error", new Error("boom"), { kind: "internal_error", message: "boom" }],
    ["an Error of another class", new RangeError("far"), { kind: "internal_error", message: "far", details: { name: "RangeError" } }],
    ["an AgentError", new AgentError("budget", "spent", { limit: 3 }), { kind: "budget", message: "spent", details: { limit: 3 } }],
    ["an AgentError without details", new AgentError("budget", "spent"), { kind: "budget", message: "spent" }],
    ["an AgentError of another module copy", { name: "AgentError", kind: "llm", message: "m" }, { kind: "llm", message: "m" }],
    ["a string", "boom", { kind: "internal_error", message: "boom" }],
    ["undefined", undefined, { kind: "internal_error", message: "undefined" }],
    ["details that are a list", new AgentError("k", "m", [1, "a"]), { kind: "k", message: "m", details: [1, "a"] }],
    ["details that are a number", new AgentError("k", "m", 0), { kind: "k", message: "m", details: 0 }],
  ])("%s", (_, thrown, agentError) => {
    const wire = turnFailure(thrown);
    expect(wire.code).toBe("AGENT_ERROR");
    expect(wire.agentError).toEqual(agentError);
  });

  test("a TurnInterrupted is a cancelled turn, also one of another module copy", () => {
    expect(turnFailure(new TurnInterrupted())).toEqual(CANCELLED);
    expect(turnFailure({ name: "TurnInterrupted", message: "x" })).toEqual(CANCELLED);
    expect(CANCELLED.agentError?.kind).toBe("cancelled");
  });

  test("an error without a message is described by one line, not by its stack", () => {
    expect(turnFailure(new Error("")).agentError?.message).toMatch(/^.*Error.*$/);
    expect(turnFailure(new Error("")).agentError?.message).not.toContain("\n");
  });

  test("details that are not JSON are left behind, the message stands", () => {
    expect(turnFailure(new AgentError("k", "m", { f: () => 1 })).agentError).toMatchObject({ kind: "k", message: "m" });
  });

  test("a message has a bound", () => {
    expect(turnFailure(new Error("x".repeat(1_000_000))).agentError?.message.length).toBeLessThanOrEqual(16_384);
  });

  test.each(HOSTILE)("%s is described somehow, and what comes of it can cross a port", (_, thrown) => {
    const wire = turnFailure(thrown);
    expect(wire.code).toBe("AGENT_ERROR");
    expect(structuredClone(wire)).toEqual(wire);
  });
});

describe("buildFailure", () => {
  test("one of our codes passes unchanged, whatever its class", () => {
    const error = new SessionError("SESSION_STORE_ERROR", "disk", { details: { path: "p" } });
    expect(buildFailure(error)).toEqual({ code: "SESSION_STORE_ERROR", message: "disk", details: { path: "p" } });
    expect(buildFailure({ code: "INVALID_PARAMS", message: "m" })).toEqual({ code: "INVALID_PARAMS", message: "m" });
  });

  test("an AGENT_ERROR keeps its kind", () => {
    expect(buildFailure(agentFailure("llm", "down", { details: { status: 500 } })).agentError).toEqual({
      kind: "llm",
      message: "down",
      details: { status: 500 },
    });
  });

  test("anything else is an internal error", () => {
    expect(buildFailure(new Error("boom"))).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error", message: "boom" } });
    expect(buildFailure({ code: "ENOENT", message: "m" }).code).toBe("AGENT_ERROR");
  });

  test("of one of our codes only what has its shape is taken over", () => {
    const wire = buildFailure({ code: "SESSION_BUSY", message: "m".repeat(20_000), agentError: { kind: 1, message: "m" }, details: [1] });
    expect(wire).toEqual({ code: "SESSION_BUSY", message: "m".repeat(16_384) });
    expect(buildFailure({ code: "SESSION_BUSY", message: "m", agentError: 5, details: "text" })).toEqual({
      code: "SESSION_BUSY",
      message: "m",
    });
    const agentError = { kind: "k", message: "m" };
    expect(buildFailure({ code: "AGENT_ERROR", message: "m", agentError, details: { a: 1 } })).toEqual({
      code: "AGENT_ERROR",
      message: "m",
      agentError,
      details: { a: 1 },
    });
  });

  test("a code that is another one at the second look is no code", () => {
    let reads = 0;
    const thrown = { get code() { return reads++ === 0 ? "SESSION_BUSY" : "constructor"; }, message: "m" }; // prettier-ignore
    expect(["AGENT_ERROR", "SESSION_BUSY"]).toContain(buildFailure(thrown).code);
  });

  test("one of our codes with details that are not JSON is described like any other value", () => {
    expect(buildFailure({ code: "SESSION_BUSY", message: "m", details: { f: () => 1 } }).code).toBe("AGENT_ERROR");
  });

  test.each(HOSTILE)("%s is described somehow", (_, thrown) => {
    const wire = buildFailure(thrown);
    expect(structuredClone(wire)).toEqual(wire);
  });
});

describe("saveFailure", () => {
  test.each(HOSTILE)("%s is described somehow", (_, thrown) => {
    const wire = saveFailure(thrown);
    expect(structuredClone(wire)).toEqual(wire);
  });
});

describe("describeError", () => {
  test.each([5, null, {}, undefined])("a stack that is no text: %s", (stack) => {
    expect(describeError(Object.assign(new Error("boom"), { stack }))).toContain("boom");
    expect(typeof describeError(Object.assign(new Error("boom"), { stack, message: 5 }))).toBe("string");
  });

  test("an error is described by its stack, another value by its text", () => {
    expect(describeError(new Error("boom"))).toContain("agent-errors.test.ts");
    expect(describeError("text")).toBe("text");
  });

  test.each(HOSTILE)("%s is described somehow", (_, thrown) => {
    expect(typeof describeError(thrown)).toBe("string");
  });
});
