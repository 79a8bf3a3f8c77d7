/** The ways in which callers take a turn's events. */
import type { EventEnvelope } from "../../src/protocol/events.ts";
import type { OnEvent } from "../../src/protocol/requests.ts";
import type { Faults } from "./faults.ts";
import type { World } from "./world.ts";

/**
 * @param take - told of every event
 * @param act - does something else with the host, from within the consumer
 * @returns a consumer, prompt, slow, failing or busy; or none
 */
export function makeConsumer(world: World, faults: Faults, take: (envelope: EventEnvelope) => void, act: () => void): OnEvent | undefined {
  const { random } = world;
  if (random.chance(0.4)) return undefined;
  const kind = random.pick(["prompt", "prompt", "slow", "throws", "acts"] as const);
  const slowMs = random.pick([1, 20, 2000]);
  let count = 0;
  return (envelope) => {
    take(envelope);
    if (kind === "slow" && count++ % 50 === 0) return new Promise((resolve) => setTimeout(resolve, slowMs).unref());
    if (kind === "throws" && random.chance(0.2)) {
      faults.saw("fault: a consumer throws");
      throw new Error("a consumer fails, simulated");
    }
    if (kind === "acts" && random.chance(0.3)) act();
    return undefined;
  };
}
