/** Random schedules of everything a runtime can be asked, each following from its seed. */
import { describe, expect, test } from "vitest";

import { SessionError } from "../../src/protocol/errors.ts";
import type { InputTicket } from "../../src/runtime/runtime-adapter.ts";
import { SessionRuntimes } from "../../src/runtime/session-runtimes.ts";
import { randomOf } from "../helpers/seeded.ts";
import { FakeRows, FakeRuntimeHost } from "./support/fake-runtime-host.ts";

const SEEDS = 150;
const STEPS = 80;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Schedule {
  readonly #random: () => number;
  readonly #host = new FakeRuntimeHost();
  readonly #rows: FakeRows | undefined;
  readonly #adapter: SessionRuntimes;
  /** By session: prompts in the order in which they were accepted. */
  readonly #accepted: Record<string, string[]> = { a: [], b: [] };
  readonly #tickets: InputTicket[] = [];
  readonly #calls: Promise<unknown>[] = [];
  #count = 0;

  constructor(seed: number) {
    this.#random = randomOf(seed);
    this.#rows = seed % 2 === 0 ? new FakeRows() : undefined;
    this.#adapter = new SessionRuntimes(this.#host, this.#rows);
  }

  async run(): Promise<void> {
    await this.#adapter.register("a");
    await this.#adapter.register("b");
    for (let step = 0; step < STEPS; step++) {
      this.#act(this.#random() < 0.5 ? "a" : "b");
      if (this.#random() < 0.6) await turn();
      for (const id of ["a", "b"]) expect(this.#host.running.filter((run) => run.id === id).length).toBeLessThanOrEqual(1);
    }
    const closed = this.#adapter.close();
    while (this.#host.running.length > 0) {
      for (const run of this.#host.running) run.end();
      await turn();
    }
    await closed;
    await Promise.all(this.#calls);
    const settled = await Promise.all(this.#tickets.map(({ outcome }) => Promise.race([outcome.then(ok, ok), turn().then(() => "open")])));
    expect(settled.filter((state) => state === "open")).toEqual([]);
    for (const id of ["a", "b"]) {
      const begun = this.#host.begun.filter((prompt) => prompt.startsWith(id));
      expect(begun).toEqual(this.#accepted[id]?.filter((prompt) => begun.includes(prompt)));
    }
    expect(this.#adapter.list().map(({ inputs }) => inputs)).toEqual([0, 0]);
  }

  #act(id: "a" | "b"): void {
    const adapter = this.#adapter;
    const pick = Math.floor(this.#random() * 100);
    const [run] = this.#host.running;
    if (pick < 40) this.#accept(id);
    else if (pick < 60) run?.end(this.#random() < 0.3 ? new SessionError("AGENT_ERROR", "fails") : undefined);
    else if (pick < 65 && !this.#host.running.some((other) => other.id === id)) this.#host.busy.set(id, this.#host.busy.get(id) ?? []);
    else if (pick < 75) this.#host.free(id);
    else if (pick < 85) this.#call(adapter.attach(id));
    else if (pick < 88) this.#call(adapter.detach(id));
    else if (pick < 91) this.#call(adapter.reset(id));
    else if (pick < 93) this.#call(adapter.stop(id));
    else if (pick < 95) this.#call(adapter.retire(id, { deadlineMs: 3 }));
    else if (pick < 97) this.#call(adapter.retireForArchive(id).then((rollBack) => rollBack()));
    else this.#call(adapter.register(id));
  }

  #accept(id: "a" | "b"): void {
    const prompt = `${id}${++this.#count}`;
    // In the order of the calls, whenever they are answered; what was refused has not begun.
    this.#accepted[id]?.push(prompt);
    this.#call(adapterAccept(this.#adapter, id, prompt, this.#tickets));
  }

  /** In some states what is asked is refused, and that is all that may go wrong. */
  #call(call: Promise<unknown>): void {
    const allowed = ["SESSION_NOT_RUNNING", "HOST_CLOSED"];
    this.#calls.push(call.catch((error: SessionError) => expect(allowed).toContain(error.code)));
  }
}

const ok = (): string => "settled";

async function adapterAccept(adapter: SessionRuntimes, id: string, prompt: string, tickets: InputTicket[]): Promise<void> {
  tickets.push(await adapter.acceptInput(id, { prompt }));
}

describe("R1, I1: whatever is asked when, one input runs at a time, in order, and each settles once", () => {
  test.each(Array.from({ length: SEEDS / 10 }, (_, n) => n * 10 + 1))("seeds from %i on", async (from) => {
    for (let seed = from; seed < from + 10; seed++) {
      await new Schedule(seed).run().catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      });
    }
  });
});
