/**
 * What a SessionStore must do, as checks that run under any test framework: `warren/store/conformance`.
 *
 * A store passes when every check resolves. Checks that need something the store lacks (an event log, runtimes, keyed turns, answers, a way
 * to open it again) are left out, so a store's own tests should look at the names they got.
 */
import { APPENDING, BASELINE, CONCURRENT, FENCING } from "./writing.ts";
import { CONTEXT, EVENTS, LARGE } from "./beside.ts";
import type { Bench, Check, ConformanceOptions, ConformanceTest } from "./kit.ts";
import { isStorePart } from "./kit.ts";
import { ARCHIVE, LISTING } from "./listing.ts";
import { ANSWERS, KEYED } from "./remembering.ts";
import { RUNTIMES } from "./runtimes.ts";
import { CRASH, DAMAGE, REOPEN } from "./surviving.ts";

export type { ConformanceOptions, ConformanceTest, CrashHooks } from "./kit.ts";

const GROUPS: Readonly<Record<string, readonly Check[]>> = {
  baseline: BASELINE,
  "append-only log": APPENDING,
  fencing: FENCING,
  "concurrent writers": CONCURRENT,
  archive: ARCHIVE,
  listing: LISTING,
  context: CONTEXT,
  events: EVENTS,
  runtimes: RUNTIMES,
  "keyed turns": KEYED,
  answers: ANSWERS,
  "large messages": LARGE,
  reopen: REOPEN,
  crash: CRASH,
  damage: DAMAGE,
};

/** The checks that apply. Those of what a store may lack pass when it does. */
export function storeConformance(options: ConformanceOptions): ConformanceTest[] {
  return Object.entries(GROUPS).flatMap(([group, checks]) =>
    checks
      .filter(({ needs }) => needs === undefined || isStorePart(needs) || options[needs] !== undefined)
      .map((check) => ({ group, name: check.name, run: () => runCheck(options, group, check) })),
  );
}

/** Register the checks with a framework's `describe` and `test`. */
export function runConformance(
  framework: { describe: (name: string, body: () => void) => unknown; test: (name: string, body: () => Promise<void>) => unknown },
  options: ConformanceOptions,
): void {
  const tests = storeConformance(options);
  for (const group of new Set(tests.map((test) => test.group))) {
    framework.describe(group, () => {
      for (const test of tests) if (test.group === group) framework.test(test.name, () => test.run());
    });
  }
}

async function runCheck(given: ConformanceOptions, group: string, check: Check): Promise<void> {
  const options = { ...given, seed: given.seed ?? Math.floor(Math.random() * 2 ** 32) };
  const name = `${group}-${check.name}`.replaceAll(/[^a-z]+/gi, "-").slice(0, 60);
  let open = await options.open(name);
  const bench: Bench = {
    store: open,
    name,
    options,
    use: (store) => {
      if (check.needs === "crash") replaced.push(open);
      open = store;
      return store;
    },
  };
  const replaced: (typeof open)[] = [];
  try {
    if (isStorePart(check.needs) && open[check.needs] === undefined) return;
    await check.run(bench);
  } catch (error) {
    throw new Error(`${group}: ${check.name} (seed ${options.seed}): ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    // Closing twice is allowed; a store that fails to close fails the check that closes it.
    for (const store of [...replaced, open]) await store.close().catch(() => {});
  }
}
