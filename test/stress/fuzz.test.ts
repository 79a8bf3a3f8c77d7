/** A small part of `npm run fuzz`, the same in every run: bytes, rows and values that were damaged, at every boundary. */
import { expect, test } from "vitest";

import { BOUNDARIES } from "../fuzz/boundaries/index.ts";
import { runCases } from "../fuzz/run-cases.ts";

const SEED = 20_260_101;
const CASES = 250;

test.each(BOUNDARIES.map((boundary) => [boundary.name, boundary] as const))("%s", async (_, boundary) => {
  const { accepted, refused, finding } = await runCases(boundary, { seed: SEED, from: 0, to: CASES });
  expect(finding).toBeUndefined();
  expect(accepted + refused).toBe(CASES);
});

test("every boundary takes some, and most refuse some", async () => {
  let refusing = 0;
  for (const boundary of BOUNDARIES) {
    const { accepted, refused } = await runCases(boundary, { seed: SEED + 1, from: 0, to: 100 });
    expect([boundary.name, accepted > 0]).toEqual([boundary.name, true]);
    if (refused > 0) refusing++;
  }
  expect(refusing).toBeGreaterThan(BOUNDARIES.length * 0.8);
});
