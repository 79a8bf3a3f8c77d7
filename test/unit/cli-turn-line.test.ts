import { expect, test } from "vitest";

import { parseTurnLine } from "../../src/cli/turn-line.ts";

test("a whole turn", () => {
  const turn = { session: "a", prompt: "p", labels: { k: "v" }, timeoutMs: 1.5, onBusy: "latest", expect: { text: "" } };
  expect(parseTurnLine(JSON.stringify(turn))).toEqual({ turn });
  expect(parseTurnLine(' {"session":"a","prompt":"","expect":{"error":"AGENT_ERROR"}}\t')).toEqual({
    turn: { session: "a", prompt: "", expect: { error: "AGENT_ERROR" } },
  });
});

test("blank lines are nothing", () => {
  expect([parseTurnLine(""), parseTurnLine(" \t ")]).toEqual([undefined, undefined]);
});

test.each([
  ["{", /^is not JSON: /],
  ["[1]", /^must be an object$/],
  ["null", /^must be an object$/],
  ['{"prompt":"x"}', /^session: must be a string$/],
  ['{"session":"","prompt":"x"}', /^session: must not be empty$/],
  [`{"session":"${"s".repeat(257)}","prompt":"x"}`, /^session: must have at most 256 characters$/],
  ['{"session":"a"}', /^prompt: must be a string$/],
  ['{"session":"a","prompt":3}', /^prompt: must be a string$/],
  ['{"session":"a","prompt":"x","promt":"y"}', /^promt: is not a known field$/],
  ['{"session":"a","prompt":"x","id":""}', /^id: must not be empty$/],
  ['{"session":"a","prompt":"x","id":7}', /^id: must be a string$/],
  ['{"session":"a","prompt":"x","labels":{"warren.run/session":"b"}}', /^labels: must not begin with warren\.run\/$/],
  ['{"session":"a","prompt":"x","labels":{"k":1}}', /^labels\.k: /],
  ['{"session":"a","prompt":"x","labels":[]}', /^labels: /],
  ['{"session":"a","prompt":"x","timeoutMs":0}', /^timeoutMs: /],
  ['{"session":"a","prompt":"x","timeoutMs":3e9}', /^timeoutMs: /],
  ['{"session":"a","prompt":"x","onBusy":"wait"}', /^onBusy: /],
  ['{"session":"a","prompt":"x","expect":"y"}', /^expect: must be an object$/],
  ['{"session":"a","prompt":"x","expect":{}}', /^expect: must have either text or error$/],
  ['{"session":"a","prompt":"x","expect":{"text":"a","error":"AGENT_ERROR"}}', /^expect: must have either text or error$/],
  ['{"session":"a","prompt":"x","expect":{"error":"AGENT_EROR"}}', /^expect\.error: must be an error code$/],
  ['{"session":"a","prompt":"x","expect":{"error":"AGENT_ERROR","kind":"x"}}', /^expect\.kind: is not a known field$/],
])("%s", (line, problem) => {
  expect(parseTurnLine(line)).toEqual({ problem: expect.stringMatching(problem) });
});
