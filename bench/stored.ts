/**
 * `npm run bench:stored [SESSIONS]`: one host over a million stored sessions, of which LIVE_MAX at most are live: turns in sessions picked
 * at random, so nearly every one wakes a session and puts another to sleep. Prints what that takes; it passes or fails nothing.
 */
import { performance } from "node:perf_hooks";

import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";

import { closedLoop, oneAtATime, percentileUs } from "./harness/load.ts";
import { mappedBytes, residentBytes, usedHeapBytes } from "./harness/memory.ts";
import { amount } from "./harness/print.ts";
import { TEXT, bytesIn, laySessions } from "./peers/stored-sessions.ts";
import { temporaryFolder } from "./peers/temporary-folder.ts";
import { openHost } from "./peers/warren-durable.ts";

const LIVE_MAX = 4000;
const MESSAGES = 4;
const IN_FLIGHT = 256;
const TURNS_MS = 20_000;
const PAGE = 50;
const PAGES = 1000;
/** A walk over the ids that is not their order: a step that shares no factor with their number. */
const STRIDE = 7919;
/** A few sessions more than are live, so that nearly every turn wakes one. */
const SESSIONS_MIN = 10_000;

const program = new Command("bench:stored")
  .description("One host over many stored sessions, few of them live: turns, pages, memory.")
  .argument("[sessions]", `how many, ${SESSIONS_MIN} at least`, sessionsOf, 1_000_000)
  .action(measure);

function sessionsOf(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < SESSIONS_MIN) throw new InvalidArgumentError(`must be a whole number of ${SESSIONS_MIN} or more`);
  return value;
}

async function measure(sessions: number): Promise<void> {
  const folder = await temporaryFolder();
  const table = new Table({ style: { head: [], border: [] } });
  const say = (what: string, value: number, unit: string): void => void table.push([what, `${amount(value)} ${unit}`]);
  const mebibytes = (bytes: number): number => bytes / 2 ** 20;
  try {
    const layAt = performance.now();
    const [ids = []] = await laySessions(folder.path, [{ sessions, messages: MESSAGES }]);
    say("laid down", sessions / ((performance.now() - layAt) / 1000), "sessions/s");
    say("on the disk", (await bytesIn(folder.path)) / sessions, "B a session");
    const heapBytes = usedHeapBytes();
    say("process before the host, list of ids included", mebibytes(await residentBytes()), "MiB RSS");

    const openAt = performance.now();
    const service = await openHost(folder.path, { maxSessions: LIVE_MAX });
    say("open()", performance.now() - openAt, "ms");
    const pageAt = performance.now();
    await service.list({ limit: PAGE });
    say(`first page of ${PAGE}`, performance.now() - pageAt, "ms");

    const wakeAt = performance.now();
    const first = ids.slice(0, LIVE_MAX).values();
    const wake = async (): Promise<void> => {
      for (const id of first) await service.startTurn(id, { prompt: TEXT });
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, wake));
    say("turns that each wake a session, while there is room", LIVE_MAX / ((performance.now() - wakeAt) / 1000), "/s");

    // Each caller has a share of the sessions to pick from, so that none is ever busy.
    const share = Math.floor(sessions / IN_FLIGHT);
    const pick = (caller: number): string => ids[caller + Math.floor(Math.random() * share) * IN_FLIGHT] as string;
    const turn = (caller: number) => service.startTurn(pick(caller), { prompt: TEXT });
    const cpu = process.cpuUsage();
    const { perSecond, calls } = await closedLoop(turn, IN_FLIGHT, TURNS_MS);
    const { user, system } = process.cpuUsage(cpu);
    const { sessions: held, store } = service.inspect();
    say(`turns in sessions at random, ${IN_FLIGHT} in flight`, perSecond, "/s");
    say("CPU", (user + system) / calls, "µs a turn");
    say("turns that put another session to sleep", (100 * (store?.hibernated ?? 0)) / calls, "%");
    say("live then", held.live, `sessions, of ${amount(LIVE_MAX)} at most`);
    const lone = await oneAtATime(() => turn(0), PAGES);
    say("a turn by itself, p50", percentileUs(lone, 50) / 1000, "ms");
    say("a turn by itself, p99", percentileUs(lone, 99) / 1000, "ms");
    const pages = await oneAtATime((n) => service.list({ after: ids[(n * STRIDE) % ids.length], limit: PAGE }), PAGES);
    say(`page of ${PAGE} somewhere, p50`, percentileUs(pages, 50), "µs");
    say(`page of ${PAGE} somewhere, p99`, percentileUs(pages, 99), "µs");
    const resident = await residentBytes();
    say("process now", mebibytes(resident), "MiB RSS");
    const mapped = mappedBytes();
    if (mapped !== undefined)
      say("of it pages of files, above all the database's", mebibytes(mapped), "MiB, given back when others need them");
    say("main's heap, more than before the host", mebibytes(usedHeapBytes() - heapBytes), "MiB");
    await service.shutdown();
  } finally {
    await folder.remove();
  }
  console.log(`${amount(sessions)} stored sessions of ${MESSAGES} messages\n${table.toString()}`);
}

await program.parseAsync();
