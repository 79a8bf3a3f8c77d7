/** `warren sessions …`: the built program over a store that runs have filled. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { changeRows } from "../helpers/store-damage.ts";
import * as inProcess from "../helpers/warren.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const LOGGED = fileURLToPath(new URL("../fixtures/cli/logged-turns.mjs", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "warren-cli-sessions-"));
afterAll(() => rmSync(folder, { recursive: true }));
inProcess.workIn(folder);

type Row = Record<string, unknown> & { id: string };
interface Outcome extends inProcess.Outcome {
  readonly rows: Row[];
}

async function warren(args: readonly string[], input = ""): Promise<Outcome> {
  const outcome = await inProcess.warren(args, input);
  return { ...outcome, rows: outcome.out.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Row] : [])) };
}
const sessions = (command: string, ...args: string[]): Promise<Outcome> => warren(["sessions", command, "--store", "store", ...args]);
const lines = (values: readonly object[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join("");
const withoutNewline = (text: string): string => text.trimEnd();

let ids: Record<string, string>;
beforeAll(async () => {
  const turns = Array.from({ length: 9 }, (_, n) => ({
    session: `s${n % 3}`,
    prompt: `ask ${n}`,
    ...(n < 3 && { labels: { team: n < 2 ? "x" : "y" } }),
  }));
  const { code } = await warren(["run", "-", "--agent", LOGGED, "--store", "store", "--output", "out.jsonl", "--quiet"], lines(turns));
  expect(code).toBe(0);
  ids = Object.fromEntries(
    (await sessions("list", "--json")).rows.map(({ id, labels }) => [(labels as Record<string, string>)["warren.run/session"], id]),
  );
});

describe("reading", () => {
  test("list: a table, or lines of JSON; by label, by page, by time", async () => {
    const { code, out } = await sessions("list");
    expect(code).toBe(0);
    expect(out).toMatch(/│ id +│ created +│ updated +│ messages │ tokens │ labels +│/);
    expect(out).toMatch(/team=x warren\.run\/session=s0/);
    expect(out).toMatch(/│ \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ │/);
    const { rows } = await sessions("list", "--json");
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({ messageCount: 6, isArchived: false });
    expect((await sessions("list", "--json", "--label", "team=x")).rows.map(({ id }) => id).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      [ids["s0"], ids["s1"]].toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
    );
    expect((await sessions("list", "--json", "--label", "team=x", "--label", "warren.run/session=s1")).rows).toMatchObject([
      { id: ids["s1"] },
    ]);
    const first = await sessions("list", "--json", "--limit", "2");
    expect(first.err).toBe(`there are more: --after ${rows[1]?.id}\n`);
    expect([...first.rows, ...(await sessions("list", "--json", "--after", rows[1]?.id ?? "")).rows]).toEqual(rows);
    const times = (await sessions("list", "--json", "--order", "updated")).rows.map(({ updatedAt }) => updatedAt as number);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  });

  test("show and history", async () => {
    const id = ids["s1"] as string;
    const shown = await sessions("show", id);
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/│ agent +│ logged-turns\.mjs +│/);
    expect(shown.out).toMatch(/│ last text +│ 3: ask 7 +│/);
    expect((await sessions("show", id, "--json")).rows).toMatchObject([
      { id, agent: "logged-turns.mjs", messageCount: 6, labels: { team: "x" } },
    ]);
    expect(withoutNewline((await sessions("history", id, "--offset", "4")).out)).toBe("[4] user\nask 7\n\n[5] assistant\n3: ask 7");
    expect((await sessions("history", id, "--offset", "1", "--limit", "2", "--json")).rows).toMatchObject([
      { index: 1, role: "assistant", content: "1: ask 1" },
      { index: 2, role: "user", content: "ask 4" },
    ]);
  });

  test("a session that is not there: a message, exit code 1", async () => {
    for (const command of ["show", "history", "archive", "purge", "export"]) {
      expect(await sessions(command, "nobody")).toMatchObject({
        code: 1,
        out: "",
        err: expect.stringMatching(/^error: there is no session nobody\n/),
      });
    }
  });
});

describe("export and import", () => {
  test("a store that is exported, imported and exported again says the same, archived sessions and turn keys too", async () => {
    expect(await sessions("archive", ids["s2"] as string)).toMatchObject({ code: 0, out: `archived ${ids["s2"]}\n` });
    const all = await sessions("export");
    expect([all.code, all.err]).toEqual([0, "exported 3 sessions\n"]);
    expect(all.rows.map(({ isArchived, agent }) => [isArchived, agent])).toEqual([
      [false, "logged-turns.mjs"],
      [false, "logged-turns.mjs"],
      [true, "logged-turns.mjs"],
    ]);
    expect(all.rows[0]).toMatchObject({ lastTurn: { key: expect.stringMatching(/^~/) } });
    const copy = await warren(["sessions", "import", "-", "--store", "copy"], all.out);
    expect([copy.code, copy.err]).toEqual([0, "imported 3 sessions, replaced 0, refused 0 lines\n"]);
    expect((await warren(["sessions", "export", "--store", "copy", "--output", "copy.jsonl"])).code).toBe(0);
    expect(readFileSync(join(folder, "copy.jsonl"), "utf8")).toBe(all.out);
    expect((await sessions("export", ids["s1"] as string)).rows.map(({ id }) => id)).toEqual([ids["s1"]]);

    const again = await warren(["sessions", "import", "copy.jsonl", "--store", "copy"]);
    expect([again.code, again.err]).toEqual([1, expect.stringMatching(/^error: line \d: session .* is stored already \(--replace/)]);
    const replaced = await warren(["sessions", "import", "copy.jsonl", "--store", "copy", "--replace"]);
    expect([replaced.code, replaced.err]).toEqual([0, "imported 0 sessions, replaced 3, refused 0 lines\n"]);
    expect((await warren(["sessions", "export", "--store", "copy"])).out).toBe(all.out);
  });

  test("an imported session goes on where it was", async () => {
    const copied = await warren(["sessions", "import", "-", "--store", "moved"], (await sessions("export", ids["s0"] as string)).out);
    expect(copied.code).toBe(0);
    const turn = lines([{ session: "s0", prompt: "more" }]);
    expect((await warren(["run", "-", "--agent", LOGGED, "--store", "moved", "--output", "moved.jsonl", "--quiet"], turn)).code).toBe(0);
    expect(JSON.parse(readFileSync(join(folder, "moved.jsonl"), "utf8"))).toMatchObject({ ok: true, text: "4: more" });
  });

  test("bad lines are refused by number, the rest is imported", async () => {
    const [good] = (await sessions("export", ids["s0"] as string)).rows as [Row];
    const { code, err } = await warren(
      ["sessions", "import", "-", "--store", "partly"],
      `${lines([
        { ...good, id: "" },
        { ...good, format: "x" },
        { ...good, extra: 1 },
        { ...good, messages: [{ role: "nobody" }] },
      ])}{rubbish\n\n${lines([good, good])}`,
    );
    expect(code).toBe(1);
    expect(err.split("\n")).toEqual([
      expect.stringMatching(/^error: line 1: id: /),
      'error: line 2: format: must be "warren-session/1"',
      expect.stringMatching(/^error: line 3: extra: /),
      expect.stringMatching(/^error: line 4: messages\.0\.role: /),
      expect.stringMatching(/^error: line 5: is not JSON: /),
      expect.stringMatching(/^error: line 8: session .* is stored already/),
      "imported 1 session, replaced 0, refused 6 lines",
      "",
    ]);
  });
});

describe("a reader that leaves, an output that is full", () => {
  test("the command ends without a word, exit code 1", async () => {
    writeFileSync(join(folder, "large.jsonl"), lines([{ session: "large", prompt: "x".repeat(4 * 1024 * 1024) }]));
    const args = ["run", "large.jsonl", "--agent", "echo", "--store", "large", "--output", "large-out.jsonl", "--quiet"];
    expect((await warren(args)).code).toBe(0);
    const child = spawn(process.execPath, [MAIN, "sessions", "export", "--store", "large"], { cwd: folder });
    let err = "";
    child.stderr.setEncoding("utf8").on("data", (piece: string) => (err += piece));
    child.stdout.once("data", () => child.stdout.destroy());
    expect([await new Promise((resolve) => child.once("close", resolve)), err]).toEqual([1, ""]);
  });

  test.runIf(process.platform === "linux")("the reason is told, exit code 1", async () => {
    const { code, out, err } = await sessions("export", "--output", "/dev/full");
    expect([code, out, err]).toEqual([1, "", expect.stringMatching(/^error: cannot write \/dev\/full: ENOSPC.*\n$/)]);
  });
});

test("text of sessions and of the caller reaches the terminal without control characters", async () => {
  const turn = lines([{ session: "red \u001b[31m", prompt: "a\u001b[2Jb\nc" }]);
  expect((await warren(["run", "-", "--agent", "echo", "--store", "hostile", "--output", "hostile.jsonl", "--quiet"], turn)).code).toBe(0);
  const hostile = (command: string, ...args: string[]): Promise<Outcome> => warren(["sessions", command, "--store", "hostile", ...args]);
  const id = (await hostile("list", "--json")).rows[0]?.id as string;
  expect((await hostile("history", id)).out).toBe("[0] user\na [2Jb\nc\n\n[1] assistant\na [2Jb\nc\n\n");
  const shown = [await hostile("list"), await hostile("show", id), await hostile("show", "\u001b[31m")];
  expect(shown.map(({ out, err }) => (out + err).includes("\u001b"))).toEqual([false, false, false]);
});

test("a session whose rows cannot be read: named, the others go on; import replaces it, purge --damaged removes it", async () => {
  const backup = (await sessions("export")).out;
  expect((await warren(["sessions", "import", "-", "--store", "damaged"], backup)).code).toBe(0);
  const damaged = (command: string, ...args: string[]): Promise<Outcome> => warren(["sessions", command, "--store", "damaged", ...args]);
  const [id, other] = [ids["s0"] as string, ids["s1"] as string];
  const damage = (): Promise<number> =>
    changeRows(join(folder, "damaged"), "heads", (key) => (Buffer.from(key).toString() === id ? Buffer.of(0x93, 1) : undefined));
  await damage();
  const row = new RegExp(`^error: row head of session ${id} cannot be decoded`);
  for (const command of ["show", "history", "export", "archive", "purge"]) {
    expect(await damaged(command, id)).toMatchObject({ code: 1, out: "", err: expect.stringMatching(row) });
  }
  const rest = await damaged("list", "--json");
  expect([rest.code, rest.err, rest.rows.map((one) => one.id)]).toEqual([1, expect.stringMatching(row), expect.arrayContaining([other])]);
  expect(await damaged("archive", id, other)).toMatchObject({ code: 1, out: `archived ${other}\n`, err: expect.stringMatching(row) });
  const mended = await warren(["sessions", "import", "-", "--store", "damaged", "--replace"], backup);
  expect([mended.code, (await damaged("export")).out]).toEqual([0, backup]);
  await damage();
  expect(await damaged("purge", id)).toMatchObject({ code: 1, err: expect.stringContaining("(--damaged purges it all the same)") });
  expect(await damaged("purge", "--damaged", id)).toMatchObject({ code: 0, out: `purged ${id}\n` });
  expect((await damaged("list")).code).toBe(0);
});

test("purge: archived sessions only", async () => {
  const id = ids["s2"] as string;
  expect(await sessions("purge", ids["s0"] as string)).toMatchObject({ code: 1, err: expect.stringContaining("is not archived") });
  await sessions("archive", id);
  expect((await sessions("list", "--archived", "--json")).rows).toMatchObject([{ id }]);
  expect(await sessions("purge", id)).toMatchObject({ code: 0, out: `purged ${id}\n` });
  expect((await sessions("list", "--archived", "--json")).rows).toEqual([]);
});

describe("a store that cannot be opened, or wrong options: a message, exit code 2", () => {
  test.each([
    ["no store", ["sessions", "list"], /--store/],
    ["no command", ["sessions"], /Usage: warren sessions/],
    [
      "a folder that is not there",
      ["sessions", "list", "--store", "missing"],
      /^error: option '--store <dir>': there is no folder missing/,
    ],
    ["an empty folder", ["sessions", "list", "--store", "empty"], /^error: option '--store <dir>': there is no store in empty/],
    ["an empty folder, to be changed", ["sessions", "purge", "x", "--store", "empty"], /there is no store in empty/],
    [
      "something else's folder",
      ["sessions", "import", "/dev/null", "--store", "foreign"],
      /foreign is not a store of Warren's: it holds theirs/,
    ],
    ["a bad label", ["sessions", "list", "--store", "store", "--label", "x"], /It must be name=value/],
    ["no folder", ["sessions", "list", "--store", ""], /^error: option '--store <dir>' argument '' is invalid. It must not be empty/],
    ["a file", ["sessions", "list", "--store", "out.jsonl"], /^error: option '--store <dir>': out\.jsonl is not a folder/],
    ["a bad limit", ["sessions", "list", "--store", "store", "--limit", "0"], /It must be a whole number from 1 to/],
    ["a bad offset", ["sessions", "history", "x", "--store", "store", "--offset", "1.5"], /It must be a whole number/],
    ["an unknown command", ["sessions", "lst", "--store", "store"], /^error: unknown command 'lst'\n\(Did you mean list\?\)/],
    [
      "an export onto the store itself",
      ["sessions", "export", "--store", "store", "--output", "store/data.mdb"],
      /cannot write store\/data\.mdb: it lies in the folder of the store/,
    ],
    ["after by time", ["sessions", "list", "--store", "store", "--order", "updated", "--after", "x"], /goes with --order id/],
    ["an input that is not there", ["sessions", "import", "missing.jsonl", "--store", "new"], /^error: cannot read missing\.jsonl/],
  ] as const)("%s", async (_, args, message) => {
    mkdirSync(join(folder, "empty"), { recursive: true });
    mkdirSync(join(folder, "foreign"), { recursive: true });
    writeFileSync(join(folder, "foreign/theirs"), "");
    expect(await warren(args)).toMatchObject({ code: 2, out: "", err: expect.stringMatching(message) });
    expect(existsSync(join(folder, "new"))).toBe(false);
  });
});

test("while a host has the store open it can be read; changes are refused and say who has it", async () => {
  writeFileSync(
    join(folder, "long.jsonl"),
    lines([
      { session: "long", prompt: "first" },
      { session: "long", prompt: "sleep 60000" },
    ]),
  );
  const args = ["run", "long.jsonl", "--agent", LOGGED, "--store", "store", "--output", "long-out.jsonl", "--quiet"];
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  while (!existsSync(join(folder, "long-out.jsonl")) || readFileSync(join(folder, "long-out.jsonl"), "utf8") === "") await sleep(10);
  const { code, rows } = await sessions("list", "--json", "--label", "warren.run/session=long");
  expect([code, rows]).toMatchObject([0, [{ messageCount: 2 }]]);
  const id = rows[0]?.id as string;
  expect((await sessions("history", id)).out).toContain("[1] assistant\n1: first");
  const inUse = {
    code: 2,
    out: "",
    err: expect.stringMatching(new RegExp(`^error: option '--store <dir>': the store in store is open in process ${child.pid}\n`)),
  };
  expect([await sessions("archive", id), await sessions("purge", id), await sessions("import", "/dev/null")]).toMatchObject([
    inUse,
    inUse,
    inUse,
  ]);
  child.kill("SIGKILL");
  await ended;
  expect((await sessions("archive", id)).code).toBe(0);
});
