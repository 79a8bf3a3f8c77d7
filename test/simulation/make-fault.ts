/** One thing that goes wrong. */
import type { Faults } from "./faults.ts";
import type { SimulatedHost } from "./host.ts";
import type { Setup } from "./setup.ts";
import type { World } from "./world.ts";

/** Lanes are killed so often in one generation, at most: then the host's restarts take long. */
const KILLS_MAX = 6;

/** @returns "drop" when it is the whole process that shall go */
export function makeFault(world: World, setup: Setup, faults: Faults, at: SimulatedHost): "drop" | undefined {
  const { random } = world;
  const lanes = at.livingLanes;
  const lane = lanes.length === 0 ? undefined : random.pick(lanes);
  const kind = random.below(100);
  if (kind < 45) {
    if (lane === undefined || at.lanes.length - lanes.length >= KILLS_MAX) return undefined;
    const { process } = lane;
    switch (random.below(4)) {
      case 0:
        faults.saw("fault: a lane dies before it sends");
        process.diesBeforeTicks = true;
        break;
      case 1:
        faults.saw("fault: a lane dies after some frames");
        process.sendsLeft = random.between(1, 6);
        break;
      case 2:
        faults.saw("fault: a lane dies while it stands still");
        world.stall(process, 60_000);
        lane.dies(random.pick([1, 10, 60]));
        break;
      default:
        faults.saw("fault: a lane dies");
        world.kill(process);
    }
  } else if (kind < 65) {
    if (lane === undefined) return undefined;
    faults.saw("fault: a lane stands still");
    world.stall(lane.process, random.pick([5, 100, 700, 3000]));
  } else if (kind < 72) {
    faults.saw("fault: main stands still");
    world.stall(at.main, random.pick([5, 300, 1500]));
  } else if (kind < 77) {
    faults.loadFails = 0.3;
  } else if (kind < 82) {
    if (random.chance(0.5)) faults.buildFails = 0.3;
    else faults.buildHangs = 0.2;
  } else if (setup.isPersistent && kind < 95) {
    if (!setup.storeFaults || at.store === undefined) return undefined;
    switch (random.below(6)) {
      case 0:
        faults.saw("fault: the store's thread is gone");
        world.kill(at.store.process);
        break;
      case 1:
        faults.saw("fault: the store's thread stands still");
        world.stall(at.store.process, random.pick([20, 500, 35_000]));
        break;
      default:
        Object.assign(faults.store, {
          errorBefore: random.pick([0, 0.1, 0.3]),
          errorAfter: random.pick([0, 0.1, 0.3]),
          stall: random.pick([0, 0.02, 0.1]),
          slow: random.pick([0, 0.3, 0.8]),
        });
    }
  } else return "drop";
  return undefined;
}
