/**
 * Listens to what a lane says to main.
 *
 *   P1. A turn, a build and a request are answered once.
 *   P2. Of a session that its lane has forgotten, or could not build, nothing more is said.
 */
import type { LaneReport } from "../../src/protocol/frames.ts";
import { REPORTS } from "../../src/protocol/frames.ts";
import { frameReader } from "../../src/transport/codec.ts";
import type { Wiretap } from "./ports.ts";
import type { World } from "./world.ts";

const read = frameReader<LaneReport>(REPORTS);

export class Monitor {
  readonly #world: World;
  readonly #answered = new Set<string>();
  readonly #forgotten = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  listen(frame: Uint8Array): void {
    for (const report of read(frame)) this.#hear(report);
  }

  #hear(report: LaneReport): void {
    const [op, first, second] = report;
    if (op === REPORTS.STRAY_ERROR.op) return;
    if (op === REPORTS.REPLY.op || op === REPORTS.REPLY_ERROR.op) {
      this.#once(`request ${first}`);
      return;
    }
    const session = `slot ${first}, generation ${String(second)}`;
    // A turn that came too late is answered behind the end of its session.
    const isLate = op === REPORTS.FAILED.op && report[6] === true;
    if (this.#forgotten.has(session) && !isLate) this.#world.violate(`P2: a lane says ${op} of ${session}, which it has forgotten`);
    if (op === REPORTS.RESULT.op || op === REPORTS.FAILED.op) this.#once(`turn ${report[3]} of ${session}`);
    if (op === REPORTS.BUILT.op || op === REPORTS.BUILD_FAILED.op) this.#once(`the build of ${session}`);
    if (op === REPORTS.FORGOTTEN.op || op === REPORTS.BUILD_FAILED.op) this.#forgotten.add(session);
  }

  #once(what: string): void {
    if (this.#answered.has(what)) this.#world.violate(`P1: ${what} was answered twice`);
    this.#answered.add(what);
  }
}

/** @returns a wiretap of which the monitor hears what arrives, or none when there is nothing to do */
export function listening(wiretap: Wiretap | undefined, monitor: Monitor | undefined): Wiretap | undefined {
  if (monitor === undefined) return wiretap;
  return (frame) => {
    const frames = wiretap?.(frame) ?? [frame];
    for (const arriving of frames) monitor.listen(arriving);
    return frames;
  };
}
