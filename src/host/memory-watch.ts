/**
 * Relieves lanes whose memory runs out before they die of it: idle sessions leave, those that were used least recently first, to sleep
 * where there is a store, else to a lane that has room.
 *
 *   O1. What counts is the least that several looks saw: a heap that is full of garbage is not full.
 *   O2. A lane is relieved from PRESSURE on, in batches, until it is below RELIEVED; a batch begins when the one before has ended.
 *   O3. Buffers are outside V8's limits. Beyond `lanes.externalMemoryMaxMb` at two looks a lane is killed, and so is one that stands still,
 *       alone, while the process grows by more than that: it cannot say what it holds.
 */
import type { SlotTable } from "../core/slot-table.ts";
import type { HostEvents } from "./host-events.ts";
import type { HostLane } from "./host-lane.ts";
import { idleSessions } from "./idle-sessions.ts";
import { isLively } from "./movable.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionRegistry } from "./session-registry.ts";

const MIB = 1024 * 1024;
/** Of the limit. */
const PRESSURE = 0.85;
const RELIEVED = 0.7;
/** Rounds (250 ms) whose least counts: a lane says what it holds every 500 ms. */
const LOOKS = 4;
/** Sessions that leave at once. */
const BATCH = 32;
/** Rounds from the end of a batch to the next, so that what it brought can be seen. */
const PAUSE_ROUNDS = LOOKS;

export interface MemoryWatchParts {
  readonly table: SlotTable;
  readonly registry: Pick<SessionRegistry, "inLane" | "inSlot">;
  readonly events: HostEvents;
  /** MiB; undefined: none. */
  readonly externalMaxMb: number | undefined;
  /** Have an idle session leave the lane. Never rejects. @param room - a lane that has some. @returns whether it left */
  leave(entry: SessionEntry, room: HostLane | undefined): Promise<boolean>;
  /** @param entry - whose code it runs, as far as is known */
  kill(lane: HostLane, entry: SessionEntry | undefined): void;
  /** Bytes of the whole process. */
  rss(): number;
}

/** What is known of a lane. */
interface Watched {
  /** Shares of the limits, at the last looks. */
  readonly heap: number[];
  readonly external: number[];
  isPressed: boolean;
  /** Sessions are leaving. */
  isBusy: boolean;
  pause: number;
  /** Of the process, a round before the lane's loop last moved, and not before its agents were loaded. */
  rss: number;
  /** 0: no round has seen it move. */
  beat: number;
}

export class MemoryWatch {
  readonly #parts: MemoryWatchParts;
  readonly #watched = new WeakMap<HostLane, Watched>();
  /** At the round before. */
  #rss = 0;

  constructor(parts: MemoryWatchParts) {
    this.#parts = parts;
  }

  /** The lane begins to serve. What it allocates before a round sees it move is its own as well. */
  loaded(lane: HostLane): void {
    if (this.#parts.externalMaxMb !== undefined) this.#of(lane).rss = this.#parts.rss();
  }

  /** A round of the supervisor. */
  round(lanes: readonly HostLane[]): void {
    const { externalMaxMb } = this.#parts;
    const rss = externalMaxMb === undefined ? 0 : this.#parts.rss();
    const rssBefore = this.#rss;
    this.#rss = rss;
    const still = lanes.filter((lane) => lane.state === "ready" && !isLively(lane));
    for (const lane of lanes) {
      if (lane.state !== "ready") continue;
      const watched = this.#of(lane);
      if (!still.includes(lane)) {
        if (watched.beat !== 0 && lane.words.lastBeat() !== watched.beat) watched.rss = rssBefore;
        watched.beat = lane.words.lastBeat();
        this.#look(lane, watched);
      } else if (externalMaxMb !== undefined && still.length === 1 && rss - watched.rss > externalMaxMb * MIB) {
        this.#kill(lane); // O3
      }
    }
    for (const lane of lanes) if (lane.state === "ready" && !still.includes(lane)) this.#relieve(lane, this.#of(lane), lanes);
  }

  #of(lane: HostLane): Watched {
    let watched = this.#watched.get(lane);
    if (watched === undefined) {
      watched = { heap: [], external: [], isPressed: false, isBusy: false, pause: 0, rss: 0, beat: 0 };
      this.#watched.set(lane, watched);
    }
    return watched;
  }

  #look(lane: HostLane, { heap, external }: Watched): void {
    const held = lane.words.held();
    if (held === undefined) return;
    const { externalMaxMb } = this.#parts;
    push(heap, held.heapUsed / held.heapLimit);
    if (externalMaxMb === undefined) return;
    push(external, held.external / (externalMaxMb * MIB));
    if (external.length >= 3 && external.slice(-3).every((share) => share > 1)) this.#kill(lane); // O3: three rounds are two looks
  }

  #kill(lane: HostLane): void {
    const slot = lane.words.runningSlot();
    this.#parts.kill(lane, slot === undefined ? undefined : this.#parts.registry.inSlot(lane, slot));
  }

  #relieve(lane: HostLane, watched: Watched, lanes: readonly HostLane[]): void {
    const share = pressureOf(watched);
    if (watched.isPressed) watched.isPressed = share >= RELIEVED;
    else if (share >= PRESSURE) {
      watched.isPressed = true;
      this.#tell(lane);
    }
    if (!watched.isPressed || watched.isBusy || watched.pause-- > 0) return;
    const { table, registry } = this.#parts;
    const room = this.#roomiest(lane, lanes);
    const leaving = idleSessions(table, registry, lane, BATCH).map((entry) => this.#parts.leave(entry, room));
    watched.isBusy = true;
    void Promise.all(leaving).then(() => {
      watched.isBusy = false;
      watched.pause = PAUSE_ROUNDS;
    });
  }

  #tell(lane: HostLane): void {
    const { heapUsed, heapLimit, external } = lane.words.held() ?? { heapUsed: 0, heapLimit: 0, external: 0 };
    this.#parts.events.emit("memory_pressure", { lane: lane.number, details: { heapUsed, heapLimit, external } });
  }

  /** @returns the other lane that is furthest from its limits, if it has room */
  #roomiest(lane: HostLane, lanes: readonly HostLane[]): HostLane | undefined {
    let best: HostLane | undefined;
    let least = RELIEVED;
    for (const other of lanes) {
      const watched = this.#of(other);
      if (other === lane || other.kind !== "shared" || other.state !== "ready" || watched.heap.length < LOOKS || !isLively(other)) continue;
      const share = pressureOf(watched);
      if (share >= least) continue;
      best = other;
      least = share;
    }
    return best;
  }
}

function push(looks: number[], share: number): void {
  looks.push(share);
  if (looks.length > LOOKS) looks.shift();
}

/** O1. 0 while too little has been seen. */
function pressureOf({ heap, external }: Watched): number {
  if (heap.length < LOOKS) return 0;
  return Math.max(Math.min(...heap), external.length < LOOKS ? 0 : Math.min(...external));
}
