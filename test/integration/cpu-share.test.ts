/** Who uses a lane, as it is measured over real threads. */
import { expect, test } from "vitest";

import type { LaneSnapshot } from "../../dist/src/index.js";
import { deferred, hosts, script, settled, until } from "../helpers/hosts.ts";

const openHost = hosts();

test("a session whose turn is one long loop is the busiest of its lane, also while it blocks it", async () => {
  const service = await openHost();
  const [hog, other] = [await deferred(service), await deferred(service)];
  const lane = (): LaneSnapshot => service.inspect().lanes[0] as LaneSnapshot;
  await until("their making is past", () => lane().busiest.length === 0);
  const turn = service.startTurn(hog, { prompt: script(["spin", 60_000]) });
  await until("it is seen", () => (lane().busiest[0]?.share ?? 0) > 0.5);
  expect(lane().busiest[0]).toMatchObject({ sessionId: hog });
  expect(lane().busiest.find(({ sessionId }) => sessionId === other)).toBeUndefined();
  expect(lane().recentUtilization).toBeGreaterThan(0.5);
  await service.interrupt(hog);
  await settled(turn.catch(() => {}));
  await until("that is past", () => lane().busiest.length === 0);
});

test("one that works in small pieces, with awaits between them, is found when its lane is overloaded", async () => {
  const service = await openHost();
  const [hog, other] = [await deferred(service), await deferred(service)];
  const pieces = Array.from({ length: 2000 }, () => ["spinBlind", 50] as const);
  const turn = service.startTurn(hog, { prompt: script(["sleep", 1], ...pieces.flatMap((piece) => [piece, ["sleep", 0] as const])) });
  turn.catch(() => {});
  let isOver = false;
  const small = (async () => {
    while (!isOver) await service.startTurn(other, { prompt: "x" });
  })();
  small.catch(() => {}); // the host may close first, when the test fails
  await until("it is seen", () => {
    const { busiest } = service.inspect().lanes[0] as LaneSnapshot;
    return busiest[0]?.sessionId === hog && busiest[0].share > 0.5;
  });
  await service.interrupt(hog);
  await settled(turn.catch(() => {}));
  isOver = true;
  await settled(small);
});

test("a lane says what its heap and its buffers hold", async () => {
  const service = await openHost({ lanes: { count: 1, resourceLimits: { maxOldGenerationSizeMb: 256 } } });
  const id = await deferred(service);
  const memory = (): LaneSnapshot["memory"] => service.inspect().lanes[0]?.memory;
  await until("it has said so", () => memory() !== undefined);
  const before = memory();
  expect(before).toMatchObject({ heapLimit: 256 * 1024 * 1024 });
  const turn = service.startTurn(id, { prompt: script(["keep", "heap", 60], ["keep", "buffers", 40], ["sleep", 30_000]) });
  turn.catch(() => {});
  await until("both have grown", () => {
    const now = memory();
    const grown = (key: "heapUsed" | "external"): number => (now?.[key] ?? 0) - (before?.[key] ?? 0);
    return grown("heapUsed") > 50e6 && grown("external") > 35e6;
  });
  await service.interrupt(id);
});
