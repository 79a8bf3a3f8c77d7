/** What the soak takes for a right transcript: M1–M4. */
import { expect, test } from "vitest";

import type { Message } from "../../src/protocol/session-model.ts";
import type { Fate } from "../soak/model.ts";
import { SoakSession } from "../soak/model.ts";

const said = (...contents: string[]): Message[] => contents.map((content) => ({ role: "user", content }));

function told(...turns: [prompt: string, fate: Fate][]): SoakSession {
  const session = new SoakSession("s");
  for (const [prompt, fate] of turns) session.turns.push({ prompt, answer: `${prompt}!`, fate });
  return session;
}

test("M1: a turn that was done is there once, whole, in its place", () => {
  const session = told(["a", "done"], ["b", "done"]);
  expect(session.problemWith(said("a", "a!", "b", "b!"))).toBeUndefined();
  for (const wrong of [
    ["a", "a!"],
    ["b", "b!", "a", "a!"],
    ["a", "b", "b!"],
    ["a", "a!", "b", "b!", "b", "b!"],
    ["a", "a!", "b", "a!"],
  ])
    expect(session.problemWith(said(...wrong))).toBeDefined();
});

test("M2: one that was not is not", () => {
  const session = told(["a", "not"], ["b", "done"]);
  expect(session.problemWith(said("b", "b!"))).toBeUndefined();
  expect(session.problemWith(said("a", "a!", "b", "b!"))).toContain("not done");
  expect(session.problemWith(said("a", "b", "b!"))).toBeDefined();
});

test("M3: one of which nobody knows may be there, whole", () => {
  const session = told(["a", "maybe"], ["b", "done"]);
  expect(session.problemWith(said("b", "b!"))).toBeUndefined();
  expect(session.problemWith(said("a", "a!", "b", "b!"))).toBeUndefined();
  expect(session.problemWith(said("a", "b", "b!"))).toBeDefined();
});

test("M4: what a checkpoint saved stands without its turn", () => {
  const session = told(["checkpoint a", "not"], ["b", "done"]);
  expect(session.problemWith(said("checkpoint a", "b", "b!"))).toBeUndefined();
  expect(session.problemWith(said("checkpoint a", "checkpoint a!", "b", "b!"))).toBeDefined();
});

test("what nobody asked for is found", () => {
  expect(told(["a", "done"]).problemWith(said("a", "a!", "x"))).toContain("nobody asked for");
});
