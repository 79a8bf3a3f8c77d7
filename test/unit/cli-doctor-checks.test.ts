import { describe, expect, test } from "vitest";

import type { MachineFacts } from "../../src/cli/doctor-checks.ts";
import { checkMachine, mebibytes, readMachine } from "../../src/cli/doctor-checks.ts";

const GIB = 1024 ** 3;
const GOOD: MachineFacts = {
  nodeVersion: "22.18.0",
  nodeMin: "20.19",
  cores: 8,
  coresQuota: undefined,
  memoryBytes: 16 * GIB,
  freeBytes: 8 * GIB,
  filesMax: 65_536,
};
const found = (facts: Partial<MachineFacts>) =>
  checkMachine({ ...GOOD, ...facts })
    .filter(({ status }) => status !== "ok")
    .map(({ check, status, advice }) => [check, status, advice]);

describe("the machine", () => {
  test("one that is fit has nothing to be told", () => {
    expect(found({})).toEqual([]);
    expect(checkMachine(GOOD).map(({ check }) => check)).toEqual(["node", "cores", "memory", "files"]);
  });

  test.each<[Partial<MachineFacts>, string, string, RegExp]>([
    [{ nodeVersion: "20.18.3" }, "node", "fail", /Node 20\.19 or newer/],
    [{ nodeVersion: "18.20.0" }, "node", "fail", /Node 20\.19 or newer/],
    [{ nodeVersion: "23.1.0" }, "node", "warn", /20, 22, 24/],
    [{ cores: 1 }, "cores", "warn", /share it/],
    [{ coresQuota: 2.5 }, "cores", "warn", /--lanes 2/],
    [{ coresQuota: 0.5 }, "cores", "warn", /--lanes 1/],
    [{ freeBytes: GIB / 8 }, "memory", "warn", /--lanes 1/],
    [{ filesMax: 1024 }, "files", "warn", /ulimit -n 65536/],
  ])("%j", (facts, check, status, advice) => {
    expect(found(facts)).toEqual([[check, status, expect.stringMatching(advice)]]);
  });

  test("what this machine says of itself is understood", () => {
    const facts = readMachine("20.19");
    expect(facts).toMatchObject({ nodeVersion: process.versions.node, nodeMin: "20.19" });
    expect(facts.cores).toBeGreaterThan(0);
    expect(facts.memoryBytes).toBeGreaterThan(facts.freeBytes);
    expect(checkMachine(facts)[0]?.status).not.toBe("fail");
    expect([mebibytes(5 * 1024 ** 2), mebibytes(20 * GIB)]).toEqual(["5 MiB", "20 GiB"]);
  });
});
