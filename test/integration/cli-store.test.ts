/** `warren run --store`: the built program, killed and run again. */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { afterAll, beforeEach, describe, expect, test } from "vitest";

import * as inProcess from "../helpers/warren.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const LOGGED = fileURLToPath(new URL("../fixtures/cli/logged-turns.mjs", import.meta.url));

const root = mkdtempSync(join(tmpdir(), "warren-cli-store-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
inProcess.workIn(root);
beforeEach(() => {
  folder = mkdtempSync(join(root, "case-"));
  process.chdir(folder);
});

/** In place of an exit code: the process was ended by a signal. */
const SIGNALLED = -2;
/** How often a run is killed before it may end. */
const KILLS = 10;
const SESSIONS = 8;

/** What several lines of a session say. */
const AGAIN = "the same again";

interface Line {
  session: string;
  prompt: string;
  id?: string;
}
type Result = Record<string, unknown> & { id: string; session: string; ok: boolean; text?: string; turn: number };

const file = (name: string): string => join(folder, name);
const write = (name: string, lines: readonly object[]): void =>
  writeFileSync(file(name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
const textOf = (name: string): string => (existsSync(file(name)) ? readFileSync(file(name), "utf8") : "");
/** Whole lines only: the last one may be cut off. */
const linesOf = (name: string): string[] => textOf(name).split("\n").slice(0, -1);
const results = (name = "out.jsonl"): Result[] => linesOf(name).map((line) => JSON.parse(line) as Result);
const RUN = ["run", "in.jsonl", "--agent", LOGGED, "--store", "store", "--output", "out.jsonl", "--lanes", "2"];

const warren = (...args: string[]): Promise<inProcess.Outcome> => inProcess.warren(args);

/** @returns by name of a session: what its messages say */
async function transcriptsOf(store: string): Promise<Record<string, string[]>> {
  const exported = (await warren("sessions", "export", "--store", store)).out.trimEnd().split("\n");
  const sessions = exported.map((line) => JSON.parse(line) as { labels: Record<string, string>; messages: { content: string }[] });
  return Object.fromEntries(sessions.map(({ labels, messages }) => [labels["warren.run/session"], messages.map(({ content }) => content)]));
}

/** A generator of numbers that are the same in every run of the tests. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface KillTime {
  /** Counted from the first result, or from the start. */
  readonly from: "result" | "start";
  readonly delayMs: number;
}

/** @returns whether it came to its end first */
async function runAndKill({ from, delayMs }: KillTime, args: readonly string[]): Promise<boolean> {
  const before = textOf("out.jsonl").length;
  const child = spawn(process.execPath, [MAIN, ...args, "--quiet"], { cwd: folder, stdio: "ignore" });
  let hasEnded = false;
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  void ended.then(() => (hasEnded = true));
  while (from === "result" && !hasEnded && textOf("out.jsonl").length <= before) await sleep(2);
  if (delayMs < Infinity) await Promise.race([sleep(delayMs), ended]);
  else await ended;
  child.kill("SIGKILL");
  return (await ended) === null;
}

describe("run --store, killed and run again", () => {
  test.each([
    ["fsync", 11],
    ["commit", 23],
  ] as const)(
    "%s: every line has one result, in order; nothing that was acknowledged or stored runs twice",
    async (durability, seed) => {
      const random = seeded(seed);
      const lines: Line[] = Array.from({ length: 320 }, (_, n) => ({
        session: `s${n % SESSIONS}`,
        prompt: n % 11 === 5 ? `throw ${n}` : n % 5 === 0 ? AGAIN : `sleep ${Math.floor(random() * 40)} ${n}`,
        ...(n % 3 === 0 && { id: `line ${n}` }),
      }));
      write("in.jsonl", lines);
      const args = [...RUN, "--durability", durability];
      let kills = 0;
      let acknowledged: number[] = [];
      const killTime = (): KillTime => {
        if (kills === KILLS) return { from: "start", delayMs: Infinity };
        return kills % 3 === 0 ? { from: "start", delayMs: random() * 1500 } : { from: "result", delayMs: random() * 100 };
      };
      for (let logged = 0; !(await runAndKill(killTime(), args)); logged = linesOf("executed.log").length) {
        kills++;
        const ranAgain = new Set(linesOf("executed.log").slice(logged));
        expect(acknowledged.map((at) => lines[at - 1]?.prompt).filter((prompt) => prompt !== AGAIN && ranAgain.has(prompt ?? ""))).toEqual(
          [],
        );
        // What a write that was cut off may leave; the next run takes it away.
        const torn = `{"session":"s${kills % SESSIONS}","id":"line 3","turn":`;
        if (textOf("out.jsonl").endsWith("\n")) appendFileSync(file("out.jsonl"), torn.slice(0, random() * torn.length));
        const now = results().map(({ line }) => line as number);
        expect(now.slice(0, acknowledged.length)).toEqual(acknowledged);
        acknowledged = now;
      }
      expect(kills).toBeGreaterThan(KILLS / 2);
      const transcripts = await transcriptsOf("store");
      expect(
        results()
          .map(({ line }) => line as number)
          .toSorted((a, b) => a - b),
      ).toEqual(lines.map((_, n) => n + 1));
      expect(
        results()
          .map(({ ok }) => ok)
          .filter((ok) => !ok),
      ).toHaveLength(lines.filter(({ prompt }) => prompt.startsWith("throw")).length);
      expect(Object.keys(transcripts)).toHaveLength(SESSIONS);
      for (let s = 0; s < SESSIONS; s++) {
        const mine = results().filter(({ session }) => session === `s${s}`);
        expect(mine.map(({ line }) => line)).toEqual(lines.flatMap(({ session }, n) => (session === `s${s}` ? [n + 1] : [])));
        expect(mine.map(({ turn }) => turn)).toEqual(mine.map((_, n) => n + 1));
        // The agent numbers its turns by the transcript: what was stored twice, or lost, would be seen here.
        const good = lines.filter(({ session, prompt }) => session === `s${s}` && !prompt.startsWith("throw"));
        expect(mine.flatMap(({ text }) => text ?? [])).toEqual(good.map(({ prompt }, n) => `${n + 1}: ${prompt}`));
        expect(transcripts[`s${s}`]).toEqual(good.flatMap(({ prompt }, n) => [prompt, `${n + 1}: ${prompt}`]));
      }
    },
    240_000,
  );

  test("a turn that was stored and whose result was lost is answered from the store", async () => {
    write(
      "in.jsonl",
      ["a", "b", "a"].map((session, n) => ({ session, prompt: `p${n}` })),
    );
    expect(await warren(...RUN)).toMatchObject({ code: 0, out: "" });
    const whole = results();
    const kept = whole.filter(({ line }) => line === 1);
    writeFileSync(file("out.jsonl"), `${JSON.stringify(kept[0])}\n${JSON.stringify(whole.at(-1)).slice(0, 30)}`); // cut off
    const { code, err } = await warren(...RUN);
    expect([code, err]).toEqual([0, expect.stringContaining("done by earlier runs: 1 turns, 0 of them failed")]);
    const told = ({ line, session, id, turn, text }: Result) => ({ line, session, id, turn, text });
    expect(
      results()
        .map(told)
        .toSorted((a, b) => Number(a.line) - Number(b.line)),
    ).toEqual(whole.map(told).toSorted((a, b) => Number(a.line) - Number(b.line)));
    expect(linesOf("executed.log").toSorted()).toEqual(["p0", "p1", "p2"]);
  });

  test("lines that are added run, those that are done do not; failures of earlier runs count, bad lines are told once", async () => {
    const lines = [
      { session: "a", prompt: "one", id: "1" },
      { session: "a", prompt: "throw", id: "2" },
      { session: "a", promt: "x" },
      { session: "a", prompt: "three", id: "1" },
    ];
    write("in.jsonl", lines);
    expect((await warren(...RUN)).code).toBe(1);
    write("in.jsonl", [...lines, { session: "a", prompt: "more", labels: {} }, { session: "a", prompt: "no", labels: { k: "v" } }]);
    const { code, err } = await warren(...RUN);
    expect([code, err]).toEqual([1, expect.stringContaining("done by earlier runs: 2 turns, 1 of them failed")]);
    expect((await warren(...RUN)).code).toBe(1);
    expect(results().map(({ line, ok, text, error }) => [line, ok, text ?? (error as { message: string }).message])).toEqual(
      [
        [3, false, "line 3: prompt: must be a string"],
        [4, false, "line 4: id: is that of line 1"],
        [1, true, "1: one"],
        [2, false, expect.stringContaining("asked to")],
        [5, true, "2: more"],
        [6, false, "line 6: labels: are not those the session has"],
      ].toSorted((a, b) => results().findIndex(({ line }) => line === a[0]) - results().findIndex(({ line }) => line === b[0])),
    );
    expect(linesOf("executed.log")).toEqual(["one", "throw", "more"]);
  });

  test.each([0, 1])(
    "stopped by signals at any moment and started again, it goes on exactly where it was (seed %i)",
    async (round) => {
      const seed = Number(process.env["SIGNAL_SEED"] ?? Date.now() % 1_000_000_000) + round;
      const random = seeded(seed);
      const lines: Line[] = Array.from({ length: 96 }, (_, n) => ({
        session: `s${n % SESSIONS}`,
        prompt: `sleep ${n % 23 === 7 ? 150 : Math.floor(random() * 25)} ${n}`,
      }));
      write("in.jsonl", lines);
      let stops = 0;
      for (let code: number | null = -1; code !== 0;) {
        const before = textOf("out.jsonl");
        const child = spawn(process.execPath, [MAIN, ...RUN, "--quiet", "--drain-ms", random() < 0.5 ? "20" : "5000"], {
          cwd: folder,
          stdio: ["ignore", "ignore", "pipe"],
        });
        let err = "";
        const signals: NodeJS.Signals[] = [];
        child.stderr.setEncoding("utf8").on("data", (piece: string) => (err += piece));
        const ended = new Promise<number | null>((resolve) =>
          child.once("close", (status, signal) => {
            // The second may come when there is no JavaScript left to hear it: everything is closed by then.
            if (signal !== null) expect([signals.length, signal]).toEqual([2, signals[1]]);
            resolve(signal === null ? status : SIGNALLED);
          }),
        );
        if (stops < 4) {
          let hasEnded = false;
          void ended.then(() => (hasEnded = true));
          while (!hasEnded && textOf("out.jsonl").length <= before.length) await sleep(2);
          for (let n = random() < 0.4 ? 2 : 1; n > 0; n--) {
            await Promise.race([sleep(random() * 120), ended]);
            signals.push(random() < 0.5 ? "SIGTERM" : "SIGINT");
            child.kill(signals.at(-1));
            await Promise.race([sleep(110), ended]); // any sooner, the next one is taken for an echo
          }
        }
        code = await ended;
        stops++;
        expect([0, signals[0] === "SIGTERM" ? 143 : 130, SIGNALLED], `seed ${seed}: ${err}`).toContain(code);
        const now = textOf("out.jsonl");
        expect(now.startsWith(before), `seed ${seed}`).toBe(true); // nothing that was written is taken back
        expect(now.endsWith("\n"), `seed ${seed}`).toBe(true); // and nothing is cut off
        expect(stops).toBeLessThan(20);
      }
      const all = results();
      expect(
        all.map(({ line }) => line as number).toSorted((a, b) => a - b),
        `seed ${seed}`,
      ).toEqual(lines.map((_, n) => n + 1));
      expect(
        all.filter(({ ok }) => !ok),
        `seed ${seed}`,
      ).toEqual([]);
      const transcripts = await transcriptsOf("store");
      for (let n = 0; n < SESSIONS; n++) {
        const mine = lines.filter(({ session }) => session === `s${n}`).map(({ prompt }, at) => [prompt, `${at + 1}: ${prompt}`]);
        expect(transcripts[`s${n}`], `seed ${seed}`).toEqual(mine.flat());
        expect(all.filter(({ session }) => session === `s${n}`).map(({ text }) => text)).toEqual(mine.map(([, text]) => text));
      }
    },
    120_000,
  );

  test("what a signal interrupts has no result, and is run by the next run", async () => {
    write("in.jsonl", [
      { session: "a", prompt: "sleep 60000" },
      { session: "a", prompt: "behind" },
      { session: "b", prompt: "done" },
    ]);
    const child = spawn(process.execPath, [MAIN, ...RUN], { cwd: folder });
    let err = "";
    child.stderr.setEncoding("utf8").on("data", (piece: string) => (err += piece));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    while (results().length < 1) await sleep(10);
    child.kill("SIGINT");
    await sleep(200);
    child.kill("SIGINT");
    expect([await ended, err]).toEqual([130, expect.stringContaining("left to another run: 1 turns")]);
    expect(results().map(({ line }) => line)).toEqual([3]);
    write("in.jsonl", [
      { session: "a", prompt: "sleep 0" },
      { session: "a", prompt: "behind" },
      { session: "b", prompt: "done" },
    ]);
    expect((await warren(...RUN)).code).toBe(0);
    expect(results().map(({ text }) => text)).toEqual(["1: done", "1: sleep 0", "2: behind"]);
  });
});

test("--max-sessions: what does not fit in memory sleeps, and no line fails for want of room", async () => {
  const lines = Array.from({ length: 60 }, (_, n) => ({ session: `s${(n * 7) % 12}`, prompt: `p${n}` }));
  write("in.jsonl", lines);
  expect((await warren(...RUN, "--max-sessions", "2", "--durability", "commit")).code).toBe(0);
  expect(results()).toHaveLength(lines.length);
  const transcripts = Object.values(await transcriptsOf("store"));
  expect([transcripts.length, transcripts.flat().length]).toEqual([12, 2 * lines.length]);
});

describe("run --store, called wrongly: a message, exit code 2, nothing changed", () => {
  test("without --output", async () => {
    write("in.jsonl", []);
    expect(await warren("run", "in.jsonl", "--store", "store")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^error: option '--store <dir>' needs '--output/),
    });
    expect(existsSync(file("store"))).toBe(false);
  });

  test.each([
    ["something else's file", "hello\n", /cannot go on with out\.jsonl: its line 1 is no result/],
    ["something else's file without a line end", "hello", /cannot go on with out\.jsonl: its line 1 is no result/],
    ["results without ids", '{"session":"a","turn":1,"line":1,"ok":true,"text":"x"}\n', /its line 1 has no id/],
  ])("an output that is %s", async (_, text, message) => {
    write("in.jsonl", [{ session: "a", prompt: "x" }]);
    writeFileSync(file("out.jsonl"), text);
    expect(await warren(...RUN)).toMatchObject({ code: 2, err: expect.stringMatching(message) });
    expect(textOf("out.jsonl")).toBe(text);
  });

  test("an output that is no regular file, or the input", async () => {
    write("in.jsonl", [{ session: "a", prompt: "x" }]);
    const to = (output: string) => warren("run", "in.jsonl", "--agent", "echo", "--store", "store", "--output", output);
    expect(await to("/dev/null")).toMatchObject({ code: 2, err: expect.stringContaining("it is no regular file") });
    expect(await to("in.jsonl")).toMatchObject({ code: 2, err: expect.stringContaining("it is the input") });
  });

  test("a folder that holds something else; another agent than the sessions have", async () => {
    write("in.jsonl", [{ session: "a", prompt: "x" }]);
    expect(await warren("run", "in.jsonl", "--agent", "echo", "--store", ".", "--output", "out.jsonl")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^error: option '--store <dir>': .* is not a store of Warren's/),
    });
    expect((await warren(...RUN)).code).toBe(0);
    rmSync(file("out.jsonl"));
    const other = await warren("run", "in.jsonl", "--agent", "echo", "--store", "store", "--output", "out.jsonl");
    expect(other).toMatchObject({
      code: 2,
      err: expect.stringContaining("session a is in the store with agent logged-turns.mjs, not echo"),
    });
  });

  test("another store than the results are of; a session that was archived", async () => {
    write("in.jsonl", [{ session: "a", prompt: "x" }]);
    expect((await warren(...RUN)).code).toBe(0);
    write("in.jsonl", [{ session: "a", prompt: "y" }]);
    const before = textOf("out.jsonl");
    const gone = {
      code: 2,
      err: expect.stringMatching(/^error: option '--store <dir>': session a has results in the output and is not in the store/),
    };
    expect(await warren(...RUN.map((arg) => (arg === "store" ? "stroe" : arg)))).toMatchObject(gone);
    const [id] = (await warren("sessions", "list", "--store", "store", "--json")).out.match(/[\da-f-]{36}/) as RegExpMatchArray;
    expect((await warren("sessions", "archive", id, "--store", "store")).code).toBe(0);
    expect(await warren(...RUN)).toMatchObject(gone);
    expect(textOf("out.jsonl")).toBe(before);
  });

  test("a store that a run has open", async () => {
    write("in.jsonl", [{ session: "a", prompt: "sleep 60000" }]);
    const child = spawn(process.execPath, [MAIN, ...RUN, "--quiet"], { cwd: folder, stdio: "ignore" });
    while (!existsSync(file("out.jsonl"))) await sleep(10);
    const { code, err } = await warren("run", "in.jsonl", "--agent", "echo", "--store", "store", "--output", "other.jsonl");
    child.kill("SIGKILL");
    expect([code, err]).toEqual([2, expect.stringContaining(`is open in process ${child.pid}`)]);
    expect(existsSync(file("other.jsonl"))).toBe(false);
  });
});
