/**
 * One run: a host is opened, used at random while things go wrong, left alone until everything is settled, and looked at.
 *
 *   R1. Every call settles, once.
 *   R2. When nothing runs any more, nothing is held: no turn, build, request, slot, permit or wake-up is left.
 *   R3. Every session that was not archived, discarded or (without a store) lost with its lane can be used.
 *   R4. After the shutdown nothing of the host is scheduled.
 */
import { MemoryStore } from "../../src/store/memory-store.ts";
import { simulatedAgent } from "./agent.ts";
import { Driver } from "./driver.ts";
import { Faults } from "./faults.ts";
import { SimulatedHost } from "./host.ts";
import { Inspection } from "./inspection.ts";
import { makeFault } from "./make-fault.ts";
import { Model } from "./model.ts";
import type { Mutant } from "./mutants.ts";
import { Random } from "./random.ts";
import type { Setup } from "./setup.ts";
import { makeSetup } from "./setup.ts";
import { describe, World } from "./world.ts";

/** Milliseconds: no process is there in the very instant in which the one before died. Tickets rest on that. */
const PROCESS_START_MS = 2;

/** Simulated milliseconds within which everything settles: a store may stall for 35 s, and be found stalled after 31. */
const SETTLE_MS = 180_000;
/** Simulated milliseconds within which the end of a lane reaches main. */
const CALM_MS = 200;
/** Simulated milliseconds a turn that hangs is left alone: it is its caller's to end. */
const HANG_MS = 1000;

export interface RunReport {
  readonly seed: number;
  readonly violation: string | undefined;
  readonly lines: readonly string[] | undefined;
  readonly steps: number;
}

/** @param seen - classes of what happened, counted on */
export async function runSeed(seed: number, seen: Map<string, number>, isTraced = false, mutant?: Mutant): Promise<RunReport> {
  const random = new Random(seed);
  const setup = makeSetup(random);
  const world = new World(random, setup.temper, isTraced);
  const onUnhandled = (error: unknown): void => world.violate(`a rejection that nobody handles: ${describe(error)}`);
  process.on("unhandledRejection", onUnhandled);
  const restore = mutant?.apply?.();
  const { stackTraceLimit } = Error;
  if (!isTraced) Error.stackTraceLimit = 0; // a run makes many errors, and no one reads them
  try {
    await new Run(world, setup, seen, mutant).play();
  } catch (error) {
    world.violate(`the run itself failed: ${describe(error)}`);
  } finally {
    world.end();
    restore?.();
    Error.stackTraceLimit = stackTraceLimit;
  }
  await new Promise((resolve) => setImmediate(resolve)); // now Node tells of rejections
  process.off("unhandledRejection", onUnhandled);
  return { seed, violation: world.violation, lines: world.lines, steps: world.steps };
}

class Run {
  readonly world: World;
  readonly setup: Setup;
  readonly faults: Faults;
  readonly model: Model;
  readonly #rows = new MemoryStore();
  readonly #mutant: Mutant | undefined;
  #isCalm = false;
  at!: SimulatedHost;
  driver!: Driver;

  constructor(world: World, setup: Setup, seen: Map<string, number>, mutant: Mutant | undefined) {
    this.world = world;
    this.setup = setup;
    this.faults = new Faults(seen);
    this.model = new Model(world, this.faults);
    this.#mutant = mutant;
  }

  async play(): Promise<void> {
    this.faults.saw(this.setup.isPersistent ? "a persistent host" : "an ephemeral host");
    if (!(await this.#open())) return;
    if (!(await this.#chaos())) return;
    await this.#calm();
    if (this.setup.ending === "shut down at once") {
      if (!(await this.#shutDown())) return;
      if (this.setup.isPersistent && !(await this.#open())) return;
    }
    if (this.setup.isPersistent && this.at.store?.process.isAlive === false) {
      if (!(await this.#settled("with the store's thread gone"))) return;
      await this.#drop();
      if (!(await this.#open())) return;
    }
    if (!(await this.#settled("when nothing goes wrong any more"))) return;
    if (this.setup.isPersistent || this.setup.ending === "settle") {
      const inspection = new Inspection(this.world, this.setup, this.model, this.faults, this.at, this.driver);
      if (!(await inspection.everythingIsIdle())) return;
      if (!(await inspection.everySessionIsUsable())) return;
      if (!(await inspection.nothingIsHeld())) return;
      if (!(await this.#shutDown())) return;
    }
  }

  async #open(): Promise<boolean> {
    const { world, setup, faults } = this;
    world.nowMs += PROCESS_START_MS;
    faults.loadFails = 0; // a host that does not open is not to be used
    this.at = new SimulatedHost({
      world,
      setup,
      faults,
      rows: this.#rows,
      builder: simulatedAgent(world, this.model, faults),
      mutant: this.#mutant,
    });
    this.driver = new Driver(world, setup, this.model, faults, this.at);
    if (world.lines !== undefined) world.trace(`opening: ${JSON.stringify(setup)}`);
    this.driver.isBold = !this.#isCalm;
    world.enter(this.at.main);
    let isOpen = false;
    this.at.open().then(
      () => (isOpen = true),
      (error: unknown) => world.violate(`the host does not open: ${describe(error)}`),
    );
    return world.until(() => isOpen, SETTLE_MS);
  }

  /** Calls and faults, one after the other, some at once and some a while apart. */
  async #chaos(): Promise<boolean> {
    const { world, setup } = this;
    const { random } = world;
    for (let count = 0; count < setup.operations; count++) {
      if (!random.chance(0.25)) await this.#pause();
      if (world.violation !== undefined) return false;
      if (random.chance(setup.faults)) {
        if (!(await this.#fault())) return false;
      } else {
        world.enter(this.at.main);
        this.driver.act();
      }
    }
    return true;
  }

  async #pause(): Promise<void> {
    const { world } = this;
    const { random } = world;
    if (random.chance(0.6)) {
      let left = random.below(25);
      await world.until(() => left-- <= 0, 50);
    } else {
      const ms = random.pick([0, 1, 5, 40, 300, 1500]);
      await world.until(() => false, ms);
    }
  }

  async #fault(): Promise<boolean> {
    const what = makeFault(this.world, this.setup, this.faults, this.at);
    if (what !== "drop") return true;
    this.faults.saw("fault: the process is dropped");
    await this.#drop();
    return this.#open();
  }

  async #drop(): Promise<void> {
    this.at.drop();
    this.model.processLost(this.setup.isPersistent);
    await this.world.until(() => true, 0); // what it was at in this instant is not the next one's
  }

  /** From now on nothing goes wrong any more. */
  async #calm(): Promise<void> {
    this.faults.stop();
    this.#isCalm = true;
    this.driver.isBold = false;
    this.world.trace("calm");
    for (const { process } of [...this.at.livingLanes, { process: this.at.main }, ...(this.at.store ? [this.at.store] : [])]) {
      process.weight = 1;
      process.stalledUntil = 0;
      process.diesBeforeTicks = false;
      if (process.sendsLeft > 0) process.sendsLeft = Infinity;
    }
    await this.world.until(() => false, CALM_MS); // what died before is noticed
  }

  /** R1 */
  async #settled(when: string): Promise<boolean> {
    const { world } = this;
    const { pending } = this.driver.calls;
    for (const untilMs = world.nowMs + SETTLE_MS; world.nowMs < untilMs && world.violation === undefined;) {
      world.enter(this.at.main);
      this.driver.interruptHanging();
      if (await world.until(() => pending.size === 0, HANG_MS)) return true;
    }
    world.violate(`R1: calls that never settle, ${when}: ${[...pending].join("; ")}`);
    return false;
  }

  /** R4 */
  async #shutDown(): Promise<boolean> {
    const { world } = this;
    const deadlineMs = world.random.pick([0, 0, 50, 30_000]);
    this.model.shutdownAsked();
    world.enter(this.at.main);
    this.driver.calls.track("shutdown", this.at.service.shutdown({ deadlineMs }));
    if (!(await this.#settled("at shutdown"))) return false;
    // Timers of callers' own consumers, and a lane that was killed.
    await world.until(() => this.at.livingLanes.length === 0, 10_000);
    if (this.at.livingLanes.length > 0) world.violate("R4: a lane is left after the shutdown");
    await world.until(() => world.leftOf(this.at.main).length === 0, CALM_MS);
    const left = world.leftOf(this.at.main);
    if (left.length > 0) world.violate(`R4: left after the shutdown: ${left.join("; ")}`);
    const { state, lanes, turns } = this.at.service.inspect();
    if (state !== "closed" || lanes.length > 0 || turns.running > 0) {
      world.violate(`R4: after the shutdown: ${JSON.stringify({ state, lanes, turns })}`);
    }
    world.enter(this.at.main);
    this.driver.readers.readToEnd();
    if (!(await this.#settled("after the shutdown"))) return false;
    const { patient } = this.driver.calls;
    if (patient.size > 0) world.violate(`R1: calls that never settle: ${[...patient].join("; ")}`);
    this.at.drop();
    return world.violation === undefined;
  }
}
