/** Subscribers of a host's sessions: each hears every number once and in order, and is told of what it missed. */
import type { SessionEventStream } from "../../src/host/session-event-stream.ts";
import type { EventEnvelope } from "../../src/protocol/events.ts";
import type { Calls } from "./calls.ts";
import { isOrdinary } from "./calls.ts";
import type { Faults } from "./faults.ts";
import type { SimulatedHost } from "./host.ts";
import type { ModelSession } from "./model.ts";
import type { Setup } from "./setup.ts";
import type { World } from "./world.ts";

interface Reader {
  readonly stream: SessionEventStream;
  readonly session: ModelSession;
  lastSeq: number;
}

export class Readers {
  readonly #world: World;
  readonly #setup: Setup;
  readonly #faults: Faults;
  readonly #at: SimulatedHost;
  readonly #calls: Calls;
  readonly #open: Reader[] = [];

  constructor(world: World, setup: Setup, faults: Faults, at: SimulatedHost, calls: Calls) {
    this.#world = world;
    this.#setup = setup;
    this.#faults = faults;
    this.#at = at;
    this.#calls = calls;
  }

  subscribe(session: ModelSession): void {
    const options = this.#world.random.chance(0.3) ? { bufferSize: this.#world.random.pick([1, 4]) } : {};
    const resumes = this.#setup.options.events === "log" && this.#world.random.chance(0.5);
    try {
      const stream = this.#at.service.subscribeSessionEvents(session.id, resumes ? { ...options, after: 0 } : options);
      this.#open.push({ stream, session, lastSeq: 0 });
    } catch (error) {
      if (!isOrdinary(error)) throw error;
    }
  }

  poll(): void {
    if (this.#open.length === 0) return;
    const { random } = this.#world;
    const reader = random.pick(this.#open);
    if (random.chance(0.2)) {
      this.#open.splice(this.#open.indexOf(reader), 1);
      this.#calls.track(`leave ${reader.session.name}`, leave(reader.stream));
      return;
    }
    for (let envelope; (envelope = reader.stream.tryNext()) !== undefined;) this.#heard(reader, envelope);
  }

  /** The host is closed: every stream ends. */
  readToEnd(): void {
    const read = async (reader: Reader): Promise<void> => {
      for await (const envelope of reader.stream) this.#heard(reader, envelope);
    };
    for (const reader of this.#open.splice(0)) this.#calls.track(`the end of ${reader.session.name}`, read(reader));
  }

  /** A subscriber hears each number once and in order. */
  #heard(reader: Reader, { seq }: EventEnvelope): void {
    this.#faults.saw(seq === 0 ? "a subscriber lost events, and was told" : "a subscriber heard an event");
    if (seq === 0) return;
    if (seq <= reader.lastSeq) this.#world.violate(`a subscriber of ${reader.session.name} heard ${seq} behind ${reader.lastSeq}`);
    reader.lastSeq = seq;
  }

  /** None wants any more. */
  leaveAll(): void {
    for (const { stream } of this.#open.splice(0)) this.#calls.track("leave", leave(stream));
  }
}

/** Its reader wants no more. */
async function leave(stream: SessionEventStream): Promise<void> {
  await stream.return?.();
}
