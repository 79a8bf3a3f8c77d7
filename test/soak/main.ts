/**
 * `npm run soak`: two hosts, one of them with a store, under a steady load, while lanes die, agents go wrong and the store fails. As it goes, every
 * call settles and every transcript holds what callers were told; at the end everything is idle, and nothing has grown.
 *
 *   --seconds <n>   how long the load lasts; default 600
 *   --sessions <n>  of both hosts together; default 5,000
 *   --seed <n>      of every random choice; default by the clock, printed
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect, parseArgs } from "node:util";

import Table from "cli-table3";

import { EphemeralSessionService, PersistentSessionService } from "../../src/index.ts";
import type { SessionService } from "../../src/index.ts";
import { SoakFailure, settles } from "./calls.ts";
import type { FailingStoreOptions } from "./failing-store.ts";
import { SoakHost } from "./host.ts";
import { randomOf } from "./random.ts";
import type { Check, Sample } from "./samples.ts";
import { LoopDelay, checkGrowth, takeSample } from "./samples.ts";

const USERS = 48;
/** Milliseconds from one lane's death to the next in the same host, on average. */
const DEATH_EVERY_MS = 4000;
/** Share of the store's writes that fail. */
const STORE_FAILURES = 0.01;
const SAMPLES = 40;
/** Milliseconds that what a host used has to be gone after its shutdown. */
const CLOSE_MAX_MS = 10_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    sessions: { type: "string", default: "5000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
  },
});
const [seconds, sessions, seed] = [values.seconds, values.sessions, values.seed].map(Number) as [number, number, number];
if (![seconds, sessions, seed].every((value) => Number.isFinite(value) && value >= 0)) throw new Error("options are numbers");

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
process.on("uncaughtException", (error) => unhandled.push(error));

const checks: Check[] = [];
const check = (what: string, value: unknown, isGood: boolean): void => void checks.push({ what, value: String(value), isGood });

async function openHosts(folder: string): Promise<[EphemeralSessionService, PersistentSessionService]> {
  const common = {
    agent: new URL("./agent.js", import.meta.url),
    interruptGraceMs: 300,
    consumerStallMs: 2000,
    archivedViewsMax: 500,
    // Lanes die on purpose: their restarts are not what is tried here.
    lanes: { count: 2, restartsMax: 1000, restartWindowMs: 2000, resourceLimits: { maxOldGenerationSizeMb: 96 } },
  };
  const options: FailingStoreOptions = { path: folder, seed, share: STORE_FAILURES };
  return [
    await EphemeralSessionService.open(common),
    await PersistentSessionService.open({
      ...common,
      store: { kind: "module", module: new URL("./failing-store.js", import.meta.url), options: { ...options } },
      events: "log",
      archivePolicy: "delete",
      // Not all can be live: each turn may put somebody to sleep.
      maxSessions: Math.ceil(sessions / 3),
    }),
  ];
}

/** Nothing is left of the sessions of a host that still stands. */
async function checkIdle(name: string, service: SessionService): Promise<void> {
  const held = (): Record<string, number> => {
    const { turns, sessions: counts, slots, subscribers, store, lanes } = service.inspect();
    const placed = lanes.reduce((sum, lane) => sum + lane.sessions + lane.runningTurns + lane.outboxRecords, 0);
    const { live, building } = counts;
    const waiting = (store?.waitingCalls ?? 0) + (store?.waking ?? 0);
    return { running: turns.running, live, building, slots: slots.allocated, subscribers, placed, waiting };
  };
  const isIdle = (): boolean => Object.values(held()).every((count) => count === 0);
  for (const end = Date.now() + CLOSE_MAX_MS; !isIdle() && Date.now() < end;) await sleep(20);
  check(`${name}: held when all is archived`, isIdle() ? "nothing" : JSON.stringify(held()), isIdle());
}

/** What main's event loop is kept alive by, of the kinds a host uses. */
function handles(): string {
  const kinds = process.getActiveResourcesInfo().filter((kind) => ["Worker", "MessagePort", "Immediate"].includes(kind));
  return kinds.sort().join(" ");
}

async function soak(folder: string): Promise<Sample[]> {
  const services = await openHosts(folder);
  let fail: (failure: unknown) => void = () => {};
  const failed = new Promise<unknown>((resolve) => (fail = resolve));
  const hosts = services.map((service, at) => {
    const name = at === 0 ? ("ephemeral" as const) : ("persistent" as const);
    return new SoakHost({ name, service, random: randomOf(seed + at + 1), onFailure: (failure) => fail(failure) });
  });
  const samples: Sample[] = [];
  const delay = new LoopDelay();
  const startedAt = Date.now();
  let failure: unknown;
  try {
    await Promise.all(hosts.map((host) => host.fill(Math.ceil(sessions / 2))));
    console.log(`${sessions.toLocaleString("en")} sessions in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
    const endMs = Date.now() + seconds * 1000;
    const end = Promise.race([sleep(seconds * 1000), failed]);
    const running = hosts.map((host) =>
      host.run(
        USERS,
        DEATH_EVERY_MS,
        end.then(() => {}),
      ),
    );
    const betweenMs = (seconds * 1000) / SAMPLES;
    // Only while the load lasts: what is idle holds less.
    while (Date.now() + betweenMs < endMs) {
      if ((await Promise.race([sleep(betweenMs, "due"), failed])) !== "due") break;
      samples.push(takeSample());
    }
    await Promise.all(running);
    failure = await Promise.race([failed, Promise.resolve()]);
    if (failure === undefined) {
      for (const host of hosts) check(`${host.name}: transcripts at the end`, `${await host.settleAccounts()} right`, true);
      for (const { name, service } of hosts) await checkIdle(name, service);
    }
  } catch (error) {
    failure = error;
  }
  printLoad(hosts, delay);
  const closing = Date.now();
  await settles(Promise.all(services.map((service) => service.shutdown({ deadlineMs: 1000 }))), "shutdown");
  check("shutdown", `${Date.now() - closing} ms`, true);
  if (failure !== undefined) check("what broke", inspect(failure), false);
  return samples;
}

function printLoad(hosts: readonly SoakHost[], delay: LoopDelay): void {
  for (const { name, service, tally } of hosts) {
    const table = new Table({ head: [name, "times"], style: { head: [], border: [] } });
    const { events, turns, lanesLost } = service.inspect();
    table.push(["turns settled", turns.settled.toLocaleString("en")], ["lanes lost", lanesLost]);
    for (const [type, count] of Object.entries(events)) if (count > 0) table.push([`event ${type}`, count]);
    for (const [what, count] of tally.entries()) table.push([what, count.toLocaleString("en")]);
    console.log(table.toString());
  }
  const { p50, p99, max } = delay.get();
  console.log(`main's event loop late by ${p50} ms (p50), ${p99} ms (p99), ${max} ms (most), samples' garbage collections included`);
}

console.log(`soak of ${seconds} s, --seed ${seed}`);
const folder = mkdtempSync(join(tmpdir(), "warren-soak-"));
const before = { handles: handles(), sample: takeSample() };
try {
  const samples = await soak(folder);
  for (const end = Date.now() + CLOSE_MAX_MS; handles() !== before.handles && Date.now() < end;) await sleep(20);
  const after = takeSample();
  check("handles after shutdown", handles() || "none", handles() === before.handles);
  if (after.files !== undefined && before.sample.files !== undefined)
    check("open files, before and after", `${before.sample.files} → ${after.files}`, after.files <= before.sample.files + 2);
  if (after.threads !== undefined && before.sample.threads !== undefined)
    // The threads of Node's own pool stay.
    check("threads, before and after", `${before.sample.threads} → ${after.threads}`, after.threads <= before.sample.threads + 6);
  checks.push(...checkGrowth(samples));
} catch (error) {
  check("what broke", error instanceof SoakFailure ? error.message : String((error as Error).stack ?? error), false);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
check("rejected or thrown on the main thread, by nobody's call", unhandled.length, unhandled.length === 0);
for (const reason of unhandled.slice(0, 5)) console.error(reason);

const table = new Table({ head: ["checked", "", ""], style: { head: [], border: [] }, colWidths: [null, 100, null], wordWrap: true });
for (const { what, value, isGood } of checks) table.push([what, value, isGood ? "ok" : "NOT OK"]);
console.log(table.toString());
const isGood = checks.every((each) => each.isGood);
console.log(isGood ? "PASS" : `FAIL: node --expose-gc dist/test/soak/main.js --seconds ${seconds} --sessions ${sessions} --seed ${seed}`);
process.exitCode = isGood ? 0 : 1;
