/** Runs a case: every scenario, every contender, rounds alternating. */
import type { Histogram } from "hdr-histogram-js";
import { decodeFromCompressedBase64 } from "hdr-histogram-js";

import type { Case, Contender, Measured, ScenarioResult } from "./case.ts";
import type { Answer } from "./contender-link.ts";
import { ContenderLink } from "./contender-link.ts";
import { curveOf, newHistogram } from "./load.ts";
import type { CaseResult } from "./results.ts";

/** Rounds unless a case says otherwise. */
export const ROUNDS = 5;

export interface RunOptions {
  readonly rounds?: number | undefined;
  /** Only these scenarios; default all. */
  readonly scenarios?: readonly string[] | undefined;
  /** Only these contenders; default all. */
  readonly contenders?: ((contender: Contender<object>) => boolean) | undefined;
  /** Ends the case early: its processes are killed and `runCase` rejects. */
  readonly signal?: AbortSignal | undefined;
  /** Called after every scenario. */
  readonly onScenario?: ((result: ScenarioResult) => void) | undefined;
}

/** @throws Error when a contender fails, dies or hangs; none of its processes is left behind */
export async function runCase(wanted: Case, options: RunOptions = {}): Promise<CaseResult> {
  const { rounds = wanted.rounds ?? ROUNDS, onScenario } = options;
  const contenders = wanted.contenders.filter((contender) => options.contenders?.(contender) ?? true);
  const scenarios: ScenarioResult[] = [];
  const stalls = new Map<Contender<object>, Stall>(
    contenders.map((contender) => [contender, wanted.isFresh ? new FreshStall(wanted.name, contender) : new Stall(wanted.name, contender)]),
  );
  const abandon = (): void => void Promise.all([...stalls.values()].map((stall) => stall.end()));
  options.signal?.addEventListener("abort", abandon);
  try {
    for (const { name, parameters } of wanted.scenarios) {
      if (options.scenarios !== undefined && !options.scenarios.includes(name)) continue;
      const taking = contenders.filter((contender) => !contender.skips?.(parameters)).map((contender) => stalls.get(contender) as Stall);
      const inTurn = async (order: (stall: Stall) => Promise<void>): Promise<void> => {
        for (const stall of taking) {
          options.signal?.throwIfAborted();
          await order(stall);
        }
      };
      await inTurn((stall) => stall.open(name));
      for (let round = 0; round < rounds; round++) await inTurn((stall) => stall.round());
      const result = { scenario: name, parameters: { ...parameters }, contenders: [] as Measured[] };
      for (const stall of taking) result.contenders.push(await stall.close());
      scenarios.push(result);
      onScenario?.(result);
    }
  } finally {
    options.signal?.removeEventListener("abort", abandon);
    await Promise.all([...stalls.values()].map((stall) => stall.end()));
  }
  const { name, title, yardstick, metrics } = wanted;
  const isWhole = options.scenarios === undefined && options.contenders === undefined;
  return {
    name,
    title,
    yardstick,
    metrics: { ...metrics },
    scenarios: scenarios as CaseResult["scenarios"],
    targets: isWhole ? (wanted.targets?.(scenarios) ?? []) : [],
  };
}

/** One contender over the rounds of a scenario. Its process serves all scenarios of the case. */
class Stall {
  protected readonly caseName: string;
  readonly #contender: Contender<object>;
  protected link: ContenderLink | undefined;
  #setup: string | undefined;
  #figures: Record<string, number[]> = {};
  #latencies: Histogram | undefined;

  constructor(caseName: string, contender: Contender<object>) {
    this.caseName = caseName;
    this.#contender = contender;
  }

  async open(scenario: string): Promise<void> {
    this.link ??= new ContenderLink(this.caseName, this.name);
    this.#setup = (await this.link.open(scenario)).setup;
  }

  async round(): Promise<void> {
    this.take(await (this.link as ContenderLink).round());
  }

  async close(): Promise<Measured> {
    await this.link?.close();
    const { name, kind } = this.#contender;
    const measured: Measured = {
      name,
      kind,
      figures: this.#figures,
      ...(this.#setup !== undefined && { setup: this.#setup }),
      ...(this.#latencies && { distribution: curveOf(this.#latencies) }),
    };
    this.#figures = {};
    this.#latencies = undefined;
    return measured;
  }

  async end(): Promise<void> {
    await this.link?.end();
  }

  protected get name(): string {
    return this.#contender.name;
  }

  protected take({ figures = {}, latencies }: Answer): void {
    for (const [metric, value] of Object.entries(figures)) (this.#figures[metric] ??= []).push(value);
    if (latencies !== undefined) (this.#latencies ??= newHistogram()).add(decodeFromCompressedBase64(latencies));
  }
}

/** A contender whose every round has a process of its own. */
class FreshStall extends Stall {
  #scenario = "";

  override async open(scenario: string): Promise<void> {
    this.#scenario = scenario;
  }

  override async round(): Promise<void> {
    await super.open(this.#scenario);
    await super.round();
    await this.end();
    this.link = undefined;
  }
}
