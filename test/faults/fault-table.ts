/** One test a fault, in both hosts; what they observed is what docs/faults.md says. */
import { afterAll, describe, expect, test } from "vitest";

import { expectNoLeaks } from "../helpers/no-leaks.ts";
import { documentedRows, isWriting, rowsIn, rowsOf, writeRows } from "./document.ts";
import type { Fault, HostKind, Observation } from "./fault.ts";
import { observe } from "./observe.ts";
import { closeHosts } from "./open-hosts.ts";

/** @param group - heading of its section in docs/faults.md */
export function faultTable(group: string, faults: readonly Fault[]): void {
  expectNoLeaks();
  afterAll(closeHosts);
  const rows = new Map<string, string[]>();
  describe.concurrent(group, () => {
    test.each(faults.map((fault) => [fault.name, fault] as const))("an agent that %s", async (name, fault) => {
      const kinds: HostKind[] = fault.storeOnly ? ["persistent"] : ["ephemeral", "persistent"];
      const seen: Partial<Record<HostKind, Observation>> = {};
      for (const kind of kinds) seen[kind] = await observe(fault, kind);
      rows.set(name, rowsOf(name, seen));
      if (!isWriting) expect(rows.get(name), "docs/faults.md: npm run faults writes what is observed").toEqual(documentedRows(group, name));
    });
  });
  if (isWriting) {
    afterAll(() => {
      if (rows.size < faults.length) return; // not all were run
      writeRows(
        group,
        faults.flatMap(({ name }) => rows.get(name) ?? []),
      );
    });
    return;
  }
  test(`docs/faults.md has nothing else under ${group}`, () => {
    const named = rowsIn(group).map((row) => row.split(" | ")[0]?.slice(2));
    expect([...new Set(named)]).toEqual(faults.map(({ name }) => name));
  });
}
