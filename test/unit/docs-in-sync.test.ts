import { describe, expect, test } from "vitest";

import { MACHINES } from "../../src/core/machines.ts";
import * as layout from "../../src/core/slot-layout.ts";
import {
  layoutTable,
  renderConfiguration,
  renderErrors,
  renderHostEvents,
  renderMetrics,
  renderSharedMemory,
  renderStateMachines,
} from "../helpers/docs.ts";

describe("generated documents say what the source says (update with -u)", () => {
  test("docs/errors.md", async () => {
    await expect(renderErrors()).toMatchFileSnapshot("../../docs/errors.md");
  });

  test("docs/host-events.md", async () => {
    await expect(renderHostEvents()).toMatchFileSnapshot("../../docs/host-events.md");
  });

  test("docs/metrics.md", async () => {
    await expect(renderMetrics()).toMatchFileSnapshot("../../docs/metrics.md");
  });

  test("docs/configuration.md", async () => {
    await expect(renderConfiguration()).toMatchFileSnapshot("../../docs/configuration.md");
  });

  test("docs/state-machines.md", async () => {
    await expect(renderStateMachines()).toMatchFileSnapshot("../../docs/state-machines.md");
  });

  test("docs/shared-memory.md", async () => {
    await expect(renderSharedMemory()).toMatchFileSnapshot("../../docs/shared-memory.md");
  });
});

describe("state machines", () => {
  test("every machine is rendered with its diagram and its numbered rules", () => {
    const sections = renderStateMachines().split("\n## ").slice(1);
    expect(sections).toHaveLength(Object.keys(MACHINES).length);
    for (const section of sections) {
      expect(section).toContain("stateDiagram-v2");
      expect(section).toMatch(/^- \*\*[A-Z]1\*\* /m);
    }
  });
});

describe("the tables in the comments of src/core/slot-layout.ts are what its constants are", () => {
  const wordsOf = (rows: ReturnType<typeof layoutTable>): number[] =>
    rows.flatMap(({ words: [first, last] }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));

  test("a slot", () => {
    const rows = layoutTable("LOCK");
    const named = Object.fromEntries(rows.filter(({ name }) => /^[A-Z_]+$/.test(name)).map(({ name, words }) => [name, words[0]]));
    const { LOCK, VERDICT, BOUNDARY_CANCEL, STATE, GENERATION, SUBSCRIBERS, VERSION, SUMMARY, SUMMARY_INTS, SLOT_INTS } = layout;
    expect(named).toEqual({ LOCK, VERDICT, BOUNDARY_CANCEL, STATE, GENERATION, SUBSCRIBERS, VERSION });
    const copies = rows.filter(({ name }) => name.startsWith("SUMMARY copy")).map(({ words }) => words);
    expect(copies).toEqual([0, 1].map((copy) => [SUMMARY + copy * SUMMARY_INTS, SUMMARY + (copy + 1) * SUMMARY_INTS - 1]));
    expect(wordsOf(rows)).toEqual(Array.from({ length: SLOT_INTS }, (_, word) => word));
  });

  test("a lane", () => {
    const { HEARTBEAT, RUNNING_SLOT, DOORBELL, MAY_POLL, TAKEN, HEAP_USED, HEAP_LIMIT, EXTERNAL, ATTRIBUTE } = layout;
    expect(Object.fromEntries(layoutTable("HEARTBEAT").map(({ name, words }) => [name, words[0]]))).toEqual({
      HEARTBEAT,
      RUNNING_SLOT,
      DOORBELL,
      MAY_POLL,
      TAKEN,
      HEAP_USED,
      HEAP_LIMIT,
      EXTERNAL,
      ATTRIBUTE,
    });
  });
});
