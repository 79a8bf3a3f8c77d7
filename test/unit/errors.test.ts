import { describe, expect, test } from "vitest";

import type { ErrorCode } from "../../src/protocol/errors.ts";
import {
  AGENT_ERROR_KINDS,
  ERRORS,
  SessionError,
  StreamError,
  agentFailure,
  busy,
  fromWire,
  hasErrorCode,
  hostClosed,
  notFound,
  notRunning,
  toWire,
} from "../../src/protocol/errors.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];
const KINDS = Object.keys(AGENT_ERROR_KINDS) as (keyof typeof AGENT_ERROR_KINDS)[];

describe("the tables", () => {
  test("codes are upper case and every one says what a caller may do", () => {
    for (const code of CODES) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)+$/);
      expect(["retry", "give-up", "bug"]).toContain(ERRORS[code].disposition);
      expect(ERRORS[code].summary).toMatch(/^[a-z].*[^.]$/);
    }
  });

  test("kinds are lower case and every one says what a caller may do", () => {
    for (const kind of KINDS) {
      expect(kind).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(["retry", "give-up", "bug"]).toContain(AGENT_ERROR_KINDS[kind].disposition);
      expect(AGENT_ERROR_KINDS[kind].summary).toMatch(/^[a-z].*[^.]$/);
    }
  });
});

describe("SessionError", () => {
  test.each(CODES)("%s has the disposition of its code", (code) => {
    expect(new SessionError(code, "text")).toMatchObject({
      name: "SessionError",
      code,
      message: "text",
      disposition: ERRORS[code].disposition,
    });
  });

  test.each(KINDS)("an AGENT_ERROR of kind %s has the disposition of its kind", (kind) => {
    expect(agentFailure(kind, "text").disposition).toBe(AGENT_ERROR_KINDS[kind].disposition);
  });

  test.each(["llm", "constructor", "__proto__", "toString"])("a kind of the agent's own (%s) is given up on", (kind) => {
    expect(agentFailure(kind, "text").disposition).toBe("give-up");
  });

  test("fields that were not given do not exist on it", () => {
    expect(Object.keys(new SessionError("HOST_CLOSED", "text")).sort()).toEqual(["code", "disposition", "name"]);
  });

  test("a cause is kept", () => {
    const cause = new Error("below");
    expect(new SessionError("SESSION_STORE_ERROR", "text", { cause }).cause).toBe(cause);
  });

  test("the details of an agent's failure are found on the error and on its agentError", () => {
    const error = agentFailure("budget", "spent", { sessionId: "s", details: { limit: 3 } });
    expect(error).toMatchObject({
      code: "AGENT_ERROR",
      sessionId: "s",
      details: { limit: 3 },
      agentError: { kind: "budget", message: "spent", details: { limit: 3 } },
    });
    expect(error.message).toBe("agent error: spent");
  });

  test("the common ones name their session", () => {
    expect([notFound("a"), busy("b"), notRunning("c"), hostClosed()].map(({ code, sessionId }) => [code, sessionId])).toEqual([
      ["SESSION_NOT_FOUND", "a"],
      ["SESSION_BUSY", "b"],
      ["SESSION_NOT_RUNNING", "c"],
      ["HOST_CLOSED", undefined],
    ]);
  });

  test("a stream's error has a code of its own", () => {
    expect(new StreamError("NOT_FOUND", "text")).toMatchObject({ name: "StreamError", code: "NOT_FOUND", message: "text" });
  });
});

describe("the wire form", () => {
  const errors = [
    ...CODES.map((code) => new SessionError(code, `about ${code}`)),
    ...KINDS.map((kind) => agentFailure(kind, `about ${kind}`, { details: { kind, n: 1 } })),
    new SessionError("HOST_OVERLOADED", "full", { details: { retryAfterMs: 5 } }),
  ];

  test.each(errors.map((error) => [error.message, error] as const))("%s comes back as it was, for the receiver's session", (_, error) => {
    const wire = toWire(error);
    expect(structuredClone(wire)).toEqual(wire);
    const back = fromWire(structuredClone(wire), "here");
    expect(toWire(back)).toEqual(wire);
    expect([back.name, back.disposition, back.sessionId]).toEqual(["SessionError", error.disposition, "here"]);
  });

  test("the session and the cause stay behind", () => {
    expect(toWire(new SessionError("SESSION_BUSY", "m", { sessionId: "s", cause: new Error("c") }))).toEqual({
      code: "SESSION_BUSY",
      message: "m",
    });
  });
});

describe("hasErrorCode", () => {
  test("any object with one of our codes is taken, whatever its class", () => {
    expect(CODES.every((code) => hasErrorCode({ code, message: "" }))).toBe(true);
  });

  test.each([
    [null],
    [undefined],
    ["SESSION_BUSY"],
    [{}],
    [{ code: "ENOENT" }],
    [{ code: 1 }],
    [{ code: "constructor" }],
    [{ code: "__proto__" }],
  ])("%j is not", (value) => {
    expect(hasErrorCode(value)).toBe(false);
  });
});
