/** Input that is hard to read: refused by name, before anything is changed. */
import { describe, expect, test } from "vitest";

import { LIST_MAX } from "../../src/protocol/list.ts";
import { parseInput } from "../../src/protocol/parse.ts";
import { CreateSessionRequestSchema, StartTurnRequestSchema } from "../../src/protocol/requests.ts";
import { Session } from "../../src/protocol/session-model.ts";
import { RequestChecks } from "../../src/host/request-checks.ts";

const fail = (): never => {
  throw new Error("no");
};
const proxy = new Proxy({}, { get: fail, has: fail, ownKeys: fail, getOwnPropertyDescriptor: fail, getPrototypeOf: fail });
const revoked = Proxy.revocable({}, {});
revoked.revoke();
const hollow = (length: number): unknown[] => {
  const list: unknown[] = [];
  list.length = length;
  return list;
};

describe("a value that throws when it is read", () => {
  const values: [string, unknown][] = [
    ["a getter", Object.defineProperty({}, "prompt", { get: fail, enumerable: true })],
    ["a proxy", proxy],
    ["a proxy that was revoked", revoked.proxy],
    ["a proxy in place of a text", { prompt: proxy }],
    ["a revoked one in place of a text", { prompt: revoked.proxy }],
    ["one that throws what cannot be described", { get prompt() { throw Object.create(null); } }], // prettier-ignore
  ];
  test.each(values)("%s: INVALID_PARAMS", (_, value) => {
    const refusal = expect.objectContaining({ code: "INVALID_PARAMS", message: expect.stringContaining("request") as string }) as Error;
    expect(() => parseInput(CreateSessionRequestSchema, value, "request")).toThrow(refusal);
    expect(() => new RequestChecks(["default"], 1000).turn(value)).toThrow(refusal);
  });
});

describe("lists", () => {
  test.each([1001, LIST_MAX, 2 ** 32 - 1])("of %d members that nobody filled are refused as one mistake", (length) => {
    const request = { prompt: "", additionalInstructions: hollow(length) };
    expect(() => parseInput(StartTurnRequestSchema, request, "request")).toThrow(/request.additionalInstructions: must be a list/);
    expect(() => parseInput(CreateSessionRequestSchema, { prompt: "", skillReferences: hollow(length) }, "request")).toThrow(
      /must be a list/,
    );
    expect(Session.safeParse({ messages: hollow(length) }).success).toBe(false);
  });

  test("long ones that are filled are taken", () => {
    const additionalInstructions = Array.from({ length: 5000 }, () => "a");
    expect(parseInput(StartTurnRequestSchema, { prompt: "", additionalInstructions }, "request").additionalInstructions).toHaveLength(5000);
  });

  test("of what is wrong the first is named, and not all of it is told", () => {
    const request = { prompt: "", additionalInstructions: Array.from({ length: 5000 }, () => 1) };
    let thrown: unknown;
    try {
      parseInput(StartTurnRequestSchema, request, "request");
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ details: { field: "request.additionalInstructions.0" } });
    expect((thrown as { details: { issues: unknown[] } }).details.issues.length).toBeLessThanOrEqual(20);
  });
});
