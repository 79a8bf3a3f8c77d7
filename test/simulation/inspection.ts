/** A look at a host that has been left alone. */
import type { Driver } from "./driver.ts";
import type { Faults } from "./faults.ts";
import type { SimulatedHost } from "./host.ts";
import type { Model, ModelSession } from "./model.ts";
import { PLAIN } from "./plans.ts";
import type { Setup } from "./setup.ts";
import type { World } from "./world.ts";

/** Simulated milliseconds within which what is over is over. */
const IDLE_MS = 90_000;
/** Steps between two looks at all a host says of itself. */
const LOOK_STEPS = 8;
const TRIES_MAX = 20;
const RETRY_MS = 200;

export class Inspection {
  readonly #world: World;
  readonly #setup: Setup;
  readonly #model: Model;
  readonly #faults: Faults;
  readonly #at: SimulatedHost;
  readonly #driver: Driver;

  constructor(world: World, setup: Setup, model: Model, faults: Faults, at: SimulatedHost, driver: Driver) {
    this.#world = world;
    this.#setup = setup;
    this.#model = model;
    this.#faults = faults;
    this.#at = at;
    this.#driver = driver;
  }

  /** @returns what is not idle; undefined when everything is */
  #busy(): string | undefined {
    const { host } = this.#at;
    const { sessions, turns, lanes, slots, store } = host.inspect();
    if (turns.running !== 0 || sessions.building !== 0) return `turns ${turns.running}, builds ${sessions.building}`;
    if (turns.waiting !== 0 || host.lines.size !== 0) return `${turns.waiting} turns wait for ${host.lines.size} sessions`;
    for (const { lane, runningTurns, state } of lanes)
      if (runningTurns !== 0 || state !== "ready") return `lane ${lane}: ${state}, ${runningTurns}`;
    if (slots.allocated !== sessions.live) return `${slots.allocated} slots for ${sessions.live} sessions`;
    const { held } = host.registry.capacity;
    if (held !== sessions.live) return `${held} permits for ${sessions.live} sessions`;
    if (store !== undefined && (store.waking !== 0 || store.waitingCalls !== 0))
      return `waking ${store.waking}, calls ${store.waitingCalls}`;
    for (const entry of host.registry.all()) {
      if (entry.state !== "live") return `${entry.id} is ${entry.state}`;
      if (entry.queries !== 0) return `${entry.queries} queries of ${entry.id}`;
      if (entry.turn !== undefined || entry.hasWaiting) return `a turn of ${entry.id}`;
    }
    const shared = this.#setup.options.lanes.count as number;
    const placed = lanes.reduce((sum, { sessions: count }) => sum + count, 0);
    if (placed !== sessions.live) return `${placed} sessions in lanes, ${sessions.live} live`;
    if (lanes.filter(({ kind }) => kind === "shared").length !== shared) return `${lanes.length} of ${shared} lanes`;
    return undefined;
  }

  /** R2 */
  async everythingIsIdle(): Promise<boolean> {
    if (await this.#world.until(() => this.#busy() === undefined, IDLE_MS, LOOK_STEPS)) return true;
    this.#world.violate(`R2: not idle: ${this.#busy()}`);
    return false;
  }

  /** R3. One after the other, so that there is room. */
  async everySessionIsUsable(): Promise<boolean> {
    for (const session of this.#model.sessions) {
      if (session.state !== "there") continue;
      if (!this.#setup.isPersistent && this.#at.host.registry.find(session.id) === undefined) {
        this.#gone(session);
        continue;
      }
      if (!this.#setup.isPersistent || this.#at.host.registry.find(session.id) !== undefined)
        this.#faults.saw("a session is live at the end");
      else this.#faults.saw("a session sleeps at the end");
      if (!(await this.#use(session))) return false;
      this.#world.enter(this.#at.main);
      if (this.#setup.isPersistent && this.#world.random.chance(0.5)) this.#driver.persisted(session);
      else this.#driver.export(session);
      const { pending } = this.#driver.calls;
      if (!(await this.#world.until(() => pending.size === 0, IDLE_MS))) {
        this.#world.violate(`R1: ${[...pending].join("; ")}`);
        return false;
      }
    }
    return this.#world.violation === undefined;
  }

  /** Its next turn succeeds; what lacks room for a moment is tried again. */
  async #use(session: ModelSession): Promise<boolean> {
    for (let tries = 0; ; tries++) {
      this.#world.enter(this.#at.main);
      if (this.#at.host.quarantine.ids.includes(session.id)) this.#driver.release(session);
      const turn = this.#driver.use(session, PLAIN);
      if (!(await this.#world.until(() => turn.outcome !== undefined, IDLE_MS))) {
        this.#world.violate(`R3: ${session.name} cannot be used: ${turn.name} is not answered`);
        return false;
      }
      if (turn.outcome === "ok") return true;
      // A checkpoint of which the store could not be asked either shows at the next save: that one fails, and the session comes back from the store.
      if (turn.refusal === "SESSION_STORE_ERROR" && tries === 0) continue;
      if (turn.refusal !== "HOST_OVERLOADED" || tries >= TRIES_MAX) {
        this.#world.violate(`R3: ${session.name} cannot be used: ${turn.name} ${turn.outcome}: ${turn.refusal}`);
        return false;
      }
      this.#world.enter(this.#at.main);
      if (this.#setup.isPersistent) this.#putToSleep(); // dedicated lanes are given to others when their sessions sleep
      await this.#world.until(() => false, RETRY_MS);
    }
  }

  /** All that can. */
  #putToSleep(): void {
    const live = Array.from(this.#at.host.registry.list(), ({ id }) => id);
    // Also one that came to be unasked, or again.
    if (this.#setup.isPersistent) for (const id of live) this.#driver.hibernate(this.#model.addSession(id));
    else for (const id of live) this.#driver.archive(this.#model.addSession(id));
  }

  /** An ephemeral session may go with its lane only. */
  #gone(session: ModelSession): void {
    const isLaneLost =
      session.turns.some(({ ran }) => ran !== undefined && !ran.process.isAlive) || this.#at.lanes.some(({ process }) => !process.isAlive);
    if (!isLaneLost) this.#world.violate(`R3: ${session.name} is gone, and no lane was lost`);
    this.#faults.saw("a session went with its lane");
    session.state = "gone";
  }

  /** R2, with nothing live. */
  async nothingIsHeld(): Promise<boolean> {
    const { host } = this.#at;
    this.#world.enter(this.#at.main);
    this.#driver.readers.leaveAll();
    this.#putToSleep();
    const isEmpty = (): boolean => {
      const { slots, sessions, lanes, subscribers } = host.inspect();
      return (
        this.#driver.calls.pending.size === 0 &&
        slots.allocated === 0 &&
        sessions.live === 0 &&
        subscribers === 0 &&
        host.registry.capacity.held === 0 &&
        lanes.every((lane) => lane.sessions === 0)
      );
    };
    if (await this.#world.until(isEmpty, IDLE_MS, LOOK_STEPS)) return true;
    const { slots, sessions, subscribers, lanes } = host.inspect();
    const { held } = host.registry.capacity;
    const { pending } = this.#driver.calls;
    this.#world.violate(
      `R2: held: ${JSON.stringify({ slots, sessions, subscribers, held, lanes: lanes.map((lane) => lane.sessions) })} ${[...pending].join("; ")}`,
    );
    return false;
  }
}
