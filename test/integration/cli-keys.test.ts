/** `warren keys …`: the built program, and a process of it for each of those that change the file together. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeEach, describe, expect, test } from "vitest";

import { KeyRing } from "../../dist/src/server/auth/key-ring.js";
import type { Outcome } from "../helpers/warren.ts";
import { warren, workIn } from "../helpers/warren.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "warren-cli-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));
workIn(folder);
beforeEach(() => rmSync("keys.json", { force: true }));

const keys = (command: string, ...args: string[]): Promise<Outcome> => warren(["keys", command, "--file", "keys.json", ...args]);
const rows = ({ out }: Outcome): Record<string, unknown>[] =>
  out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("keys", () => {
  test("create prints the key, alone and once; the file recognizes it and does not hold it", async () => {
    const { code, out, err } = await keys("create", "--tenant", "acme", "--role", "read", "--name", "a note");
    const [, id, secret] = /^wk_([0-9a-f]{12})_([\w-]{43})\n$/.exec(out) ?? [];
    expect([code, err]).toEqual([0, `key ${id}: keep it now, it is not shown again\n`]);
    expect(statSync("keys.json").mode & 0o777).toBe(0o600);
    expect(readFileSync("keys.json", "utf8")).not.toContain(secret);
    const ring = await KeyRing.open("keys.json", 1_000_000);
    expect(ring.find(out.trim())).toEqual({ tenant: "acme", role: "read", key: id });
    ring.close();
    const listed = await keys("list");
    expect(listed.out).toMatch(new RegExp(`│ ${id} │ read │ acme   │ a note │ \\d{4}-.*Z │ never   │`));
    expect(listed.out).not.toContain(secret);
  });

  test("create, list and revoke in JSON", async () => {
    const before = Date.now();
    const [made] = rows(await keys("create", "--role", "admin", "--expires", "90d", "--json"));
    const { key, ...rest } = made as Record<string, unknown>;
    expect(key).toMatch(/^wk_/);
    expect(rest).toEqual({ id: expect.any(String), role: "admin", createdAt: expect.any(Number), expiresAt: expect.any(Number), hasExpired: false }); // prettier-ignore
    expect((rest["expiresAt"] as number) - (rest["createdAt"] as number)).toBe(90 * 86_400_000);
    expect(rest["createdAt"]).toBeGreaterThanOrEqual(before);
    expect(rows(await keys("list", "--json"))).toEqual([rest]);
    const revoked = await keys("revoke", rest["id"] as string, "0123456789ab", "--json");
    expect([revoked.code, rows(revoked), revoked.err]).toEqual([
      1,
      [
        { id: rest["id"], isRevoked: true },
        { id: "0123456789ab", isRevoked: false },
      ],
      "error: there is no key 0123456789ab\n",
    ]);
    expect(await keys("list", "--json")).toMatchObject({ code: 0, out: "" });
  });

  test("a key that has expired is listed as such", async () => {
    await keys("create", "--tenant", "acme", "--expires", "1s");
    const file = JSON.parse(readFileSync("keys.json", "utf8")) as { keys: { expiresAt: number }[] };
    for (const key of file.keys) key.expiresAt = 5000;
    writeFileSync("keys.json", JSON.stringify(file));
    expect((await keys("list")).out).toContain("1970-01-01 00:00:05Z (past)");
    expect(rows(await keys("list", "--json"))).toMatchObject([{ role: "run", expiresAt: 5000, hasExpired: true }]);
  });

  test("what is wrong is said, and nothing is made", async () => {
    const cases: [args: string[], problem: RegExp][] = [
      [["create"], /'--tenant <name>': a key of the role run needs one/],
      [["create", "--role", "admin", "--tenant", "a"], /'--tenant <name>': an admin's key is for all tenants/],
      [["create", "--tenant", "a b"], /'--tenant <name>': it must be 1 to 128 visible/],
      [["create", "--tenant", ""], /'--tenant <name>': it must be 1 to 128 visible/],
      [["create", "--tenant", "a", "--name", ""], /'--name <name>': it must be 1 to 256/],
      [["create", "--tenant", "a", "--role", "root"], /'--role <role>' argument 'root' is invalid/],
      [["create", "--tenant", "a", "--expires", "soon"], /'--expires <time>' argument 'soon' is invalid/],
      [["create", "--tenant", "a", "--expires", "0d"], /'--expires <time>'/],
      [["create", "--tenant", "a", "--expires", "36526d"], /A hundred years at most/],
      [["list"], /'--file <file>': cannot read keys\.json: ENOENT/],
      [["revoke", "0123456789ab"], /'--file <file>': cannot read keys\.json: ENOENT/],
    ];
    for (const [[command = "", ...args], problem] of cases) {
      const { code, out, err } = await keys(command, ...args);
      expect([code, out, err]).toEqual([2, "", expect.stringMatching(problem)]);
    }
    expect(readdirSync(".")).toEqual([]);
    writeFileSync("keys.json", '{"format":"warren-keys/1","keys":[],"more":1}');
    expect((await keys("create", "--tenant", "a")).err).toMatch(/file\.more/);
    expect(readFileSync("keys.json", "utf8")).toContain("more");
  });

  test("K2: processes that change the file at the same time lose nothing of each other's", async () => {
    const run = promisify(execFile);
    const make = (tenant: string) => run(process.execPath, [MAIN, "keys", "create", "--file", "keys.json", "--tenant", tenant]);
    const tenants = ["a", "b", "c", "d"];
    await Promise.all(tenants.map(make));
    const listed = rows(await keys("list", "--json")).map(({ tenant }) => tenant as string);
    expect(listed.sort()).toEqual(tenants);
    expect(readdirSync(".")).toEqual(["keys.json"]);
  });
});
