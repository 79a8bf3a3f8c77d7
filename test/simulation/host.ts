/** A host in a simulated world: one generation of a process, from its opening until it ends or is dropped. */
import { EphemeralSessionService } from "../../src/host/ephemeral-service.ts";
import { PersistentSessionService } from "../../src/host/persistent-service.ts";
import { SessionHost } from "../../src/host/session-host.ts";
import { StoreThread } from "../../src/host/store-thread.ts";
import type { SessionAgentBuilder } from "../../src/protocol/agent.ts";
import type { HostEvent } from "../../src/protocol/host-events.ts";
import type { MemoryStore } from "../../src/store/memory-store.ts";
import type { Faults } from "./faults.ts";
import type { SimulatedLane } from "./lane-threads.ts";
import { startThreadIn } from "./lane-threads.ts";
import { listening, Monitor } from "./monitor.ts";
import type { Mutant } from "./mutants.ts";
import type { Process } from "./process.ts";
import type { Setup } from "./setup.ts";
import { SimulatedStore } from "./store.ts";
import { describe } from "./world.ts";
import type { World } from "./world.ts";

/** What a generation is made of. */
export interface HostParts {
  readonly world: World;
  readonly setup: Setup;
  readonly faults: Faults;
  readonly rows: MemoryStore;
  readonly builder: SessionAgentBuilder;
  readonly mutant: Mutant | undefined;
}

/** Share of lanes that are listened to: every frame has to be read once more for it. */
const LISTENED = 0.25;

export class SimulatedHost {
  readonly main: Process;
  readonly lanes: SimulatedLane[] = [];
  readonly store: SimulatedStore | undefined;
  /** Undefined until it is open. */
  host!: SessionHost;
  service!: EphemeralSessionService | PersistentSessionService;
  readonly #parts: HostParts;

  constructor(parts: HostParts) {
    this.#parts = parts;
    const { world, setup, faults, rows, mutant } = parts;
    this.main = world.spawn("main", (error) => world.violate(`uncaught on main: ${describe(error)}`));
    this.delay = setup.delayMs === 0 ? () => 0 : () => (world.random.chance(0.5) ? 0 : world.random.fraction() * setup.delayMs);
    if (setup.isPersistent) this.store = new SimulatedStore(world, this.main, mutant?.rows?.(rows) ?? rows, faults, this.delay);
  }

  readonly delay: () => number;

  /** Rejects when a lane does not load its agents. */
  async open(): Promise<void> {
    const { world, setup, faults, builder, mutant } = this.#parts;
    const { random } = world;
    const start = startThreadIn({
      world,
      main: this.main,
      faults,
      delay: this.delay,
      agents: new Map([["default", builder]]),
      lanes: this.lanes,
      wiretapOf: () => listening(mutant?.wiretap?.(), random.chance(LISTENED) ? new Monitor(world) : undefined),
      tellsEndEarly: mutant?.tellsEndEarly,
    });
    const options = { ...setup.options, onHostEvent: (event: HostEvent) => this.#befell(event) };
    world.enter(this.main);
    if (this.store === undefined) {
      this.host = await SessionHost.open(options, start);
      this.service = EphemeralSessionService.over(this.host);
    } else {
      const thread = new StoreThread(this.store.seat);
      this.host = await SessionHost.open(options, start, { thread, options });
      this.service = PersistentSessionService.over(this.host);
    }
  }

  #befell({ type, details }: HostEvent): void {
    const { world, faults } = this.#parts;
    world.trace(`event ${type} ${JSON.stringify(details ?? {})}`);
    faults.saw(`event: ${type}`);
    if (String(details?.["error"]).startsWith("a report that cannot be taken"))
      world.violate(`main does not take a report: ${String(details?.["error"])}`);
  }

  /** @returns the lanes whose threads are there */
  get livingLanes(): SimulatedLane[] {
    return this.lanes.filter(({ process }) => process.isAlive);
  }

  /** The whole process is gone, in the middle of whatever it does. */
  drop(): void {
    const { world } = this.#parts;
    for (const { process } of this.lanes) world.kill(process);
    if (this.store !== undefined) world.kill(this.store.process);
    world.kill(this.main);
  }
}
