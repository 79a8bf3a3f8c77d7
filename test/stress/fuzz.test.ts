/** A small part of `npm run fuzz`, the same in every run: bytes, rows and values that were damaged, at every boundary. */
import { expect, test } from "vitest";

import { BOUNDARIES } from "../fuzz/boundaries/index.ts";
import { runCases } from "../fuzz/run-cases.ts";

const SEED = 20_260_101;
/** Of a boundary whose cases cost what most do. */
const CASES = 250;

const refusing = new Set<string>();
const accepting = new Set<string>();

test.each(BOUNDARIES.map((boundary) => [boundary.name, boundary] as const))("%s", async (name, boundary) => {
  const cases = Math.max(30, Math.round(CASES * Math.min(1, boundary.weight ?? 1)));
  const { accepted, refused, finding } = await runCases(boundary, { seed: SEED, from: 0, to: cases });
  expect(finding).toBeUndefined();
  expect(accepted + refused).toBe(cases);
  if (accepted > 0) accepting.add(name);
  if (refused > 0) refusing.add(name);
});

test("every boundary takes some, but for the store that fails, and most refuse some", () => {
  expect(BOUNDARIES.filter(({ name }) => !accepting.has(name)).map(({ name }) => name)).toEqual(["live: a store that fails"]);
  expect(refusing.size).toBeGreaterThan(BOUNDARIES.length * 0.8);
});
