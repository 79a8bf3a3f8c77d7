import { describe, expect, test } from "vitest";

import { LANE_TRANSITIONS, MACHINES, SESSION_TRANSITIONS, TURN_TRANSITIONS, advance, nextState } from "../../src/core/machines.ts";

type Table = Readonly<Record<string, Readonly<Record<string, string>>>>;
const TABLES: [string, Table][] = Object.entries(MACHINES);
const eventsOf = (table: Table): string[] => [...new Set(Object.values(table).flatMap((row) => Object.keys(row)))];
const terminalsOf = (table: Table): string[] => Object.keys(table).filter((state) => Object.keys(table[state] ?? {}).length === 0);

/** What every pair leads to, written a second time and by hand; a pair that is not here is illegal. */
const EXPECTED: Record<string, string[]> = {
  turn: [
    "admitted stage staging",
    "admitted interrupt cancelled",
    "staging run running",
    "staging answer draining",
    "staging refuse draining",
    "running settle draining",
    "draining seal sealed",
    "draining interrupt cancelled",
    "sealed complete completed",
    "sealed fail failed",
    "sealed commit committing",
    "committing complete completed",
    "committing fail failed",
  ],
  session: [
    "building register live",
    "building refuse leaving",
    "building laneLost gone",
    "live archive leaving",
    "live discard leaving",
    "live drop leaving",
    "live hibernate hibernating",
    "live move moving",
    "live laneLost gone",
    "hibernating stay live",
    "hibernating forgotten gone",
    "hibernating laneLost gone",
    "moving stay live",
    "moving moved leaving",
    "moving laneLost gone",
    "leaving forgotten gone",
    "leaving laneLost gone",
  ],
  lane: [
    "starting loaded ready",
    "starting stop stopping",
    "starting ended lost",
    "ready stop stopping",
    "ready ended lost",
    "stopping ended stopped",
  ],
  runtime: [
    "initializing register idle",
    "initializing destroy destroyed",
    "idle attach attached",
    "idle retire retired",
    "idle stop stopped",
    "idle destroy destroyed",
    "attached run running",
    "attached detach idle",
    "attached retire retired",
    "attached stop stopped",
    "attached destroy destroyed",
    "running settle attached",
    "running busy attached",
    "retired revive idle",
    "retired destroy destroyed",
    "stopped revive idle",
    "stopped retire retired",
    "stopped destroy destroyed",
  ],
};

describe.each(TABLES)("the %s machine", (name, table) => {
  const expected = EXPECTED[name] ?? [];
  const pairs = Object.keys(table).flatMap((state) => eventsOf(table).map((event) => [state, event] as const));

  test("has no states, events or transitions beyond those checked here", () => {
    const transitions = Object.entries(table).flatMap(([state, row]) =>
      Object.entries(row).map(([event, next]) => `${state} ${event} ${next}`),
    );
    expect(transitions.sort()).toEqual([...expected].sort());
  });

  test.each(pairs)("%s + %s", (state, event) => {
    const line = expected.find((entry) => entry.startsWith(`${state} ${event} `));
    const next = line?.split(" ")[2];
    expect(nextState(table, state, event)).toBe(next);
    if (next === undefined) expect(() => advance(table, state, event)).toThrow(`illegal transition: ${event} in ${state}`);
    else expect(advance(table, state, event)).toBe(next);
  });

  test("every target is a state, and every state but the first is some target", () => {
    const states = Object.keys(table);
    const targets = new Set(Object.values(table).flatMap((row) => Object.values(row)));
    expect(states).toEqual(expect.arrayContaining([...targets]));
    expect(states.slice(1).filter((state) => !targets.has(state))).toEqual([]);
  });

  test("from every state an end can be reached", () => {
    const ends = new Set(terminalsOf(table));
    for (let grew = true; grew;) {
      grew = false;
      for (const [state, row] of Object.entries(table)) {
        if (!ends.has(state) && Object.values(row).some((next) => ends.has(next))) grew = Boolean(ends.add(state));
      }
    }
    expect([...ends].sort()).toEqual(Object.keys(table).sort());
  });
});

/** Every way through a machine from its first state, as lists of states. @param apart - an event that leads back and is left out */
function waysThrough(table: Table, from: string, way: string[] = [from], apart = ""): string[][] {
  const nexts = Object.entries(table[from] ?? {}).flatMap(([event, next]) => (event === apart ? [] : [next]));
  return nexts.length === 0 ? [way] : nexts.flatMap((next) => waysThrough(table, next, [...way, next], apart));
}

describe("machines: turn", () => {
  const ways = waysThrough(TURN_TRANSITIONS, "admitted");

  test("T1: a turn runs at most once, and only out of staging", () => {
    for (const way of ways) {
      const at = way.indexOf("running");
      expect(way.filter((state) => state === "running").length).toBeLessThanOrEqual(1);
      if (at >= 0) expect(way[at - 1]).toBe("staging");
    }
  });

  test("T2: a turn that ends otherwise than cancelled has passed sealed; one that was sealed is never cancelled", () => {
    for (const way of ways) expect(way.includes("sealed")).toBe(way.at(-1) !== "cancelled");
  });

  test("T3: every way ends, once, in an empty row", () => {
    const ends = ways.map((way) => way.at(-1) as string);
    expect([...new Set(ends)].sort()).toEqual(["cancelled", "completed", "failed"]);
    expect(terminalsOf(TURN_TRANSITIONS).sort()).toEqual(["cancelled", "completed", "failed"]);
  });
});

describe("machines: session and lane", () => {
  test("a session ends as gone and nothing else, and comes back to live only by staying where it was", () => {
    const ways = waysThrough(SESSION_TRANSITIONS, "building", ["building"], "stay");
    const stays = Object.entries(SESSION_TRANSITIONS).flatMap(([state, row]) => ("stay" in row ? [`${state} ${row.stay}`] : []));
    expect(stays).toEqual(["hibernating live", "moving live"]);
    expect(terminalsOf(SESSION_TRANSITIONS)).toEqual(["gone"]);
    for (const way of ways) expect(way.filter((state) => state === "live").length).toBeLessThanOrEqual(1);
  });

  test("a lane is stopped exactly when it was told to stop before it ended", () => {
    expect(terminalsOf(LANE_TRANSITIONS)).toEqual(["lost", "stopped"]);
    for (const way of waysThrough(LANE_TRANSITIONS, "starting")) expect(way.includes("stopping")).toBe(way.at(-1) === "stopped");
  });
});
