/** `warren completion`: the bash script completes what the program has; scripts of other shells are read by them where they are there. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { SHELLS } from "../../src/cli/completion.ts";
import { warren } from "../helpers/warren.ts";

const folder = mkdtempSync(join(tmpdir(), "warren-completion-"));
afterAll(() => rmSync(folder, { recursive: true }));
const script = (shell: string): string => join(folder, `warren.${shell}`);
const has = (shell: string): boolean => spawnSync(shell, ["-c", "exit 0"]).status === 0;

beforeAll(async () => {
  for (const shell of SHELLS) {
    const { code, out } = await warren(["completion", shell]);
    expect(code).toBe(0);
    writeFileSync(script(shell), out);
  }
});

describe.runIf(has("bash"))("bash", () => {
  /** @returns what is offered for the last word */
  function offered(...words: string[]): string[] {
    const line = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _warren; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync("bash", ["-c", line, script("bash"), "warren", ...words], {
      encoding: "utf8",
      cwd: folder,
    });
    expect([status, stderr]).toEqual([0, ""]);
    return stdout.split("\n").filter((word) => word !== "");
  }

  test("is told of the command", () => {
    const { stdout } = spawnSync("bash", ["-c", 'source "$0"; complete -p warren', script("bash")], { encoding: "utf8" });
    expect(stdout).toBe("complete -F _warren warren\n");
  });

  test("commands, and those below them", () => {
    expect(offered("")).toEqual(expect.arrayContaining(["run", "sessions", "doctor", "completion"]));
    expect(offered("sess")).toEqual(["sessions"]);
    expect(offered("sessions", "")).toEqual(expect.arrayContaining(["list", "show", "history", "archive", "purge", "export", "import"]));
    expect(offered("run", "--store", "sessions", "--dur")).toEqual(["--durability"]);
  });

  test("options, values of a choice, files, and words of an argument", () => {
    expect(offered("run", "--dur")).toEqual(["--durability"]);
    expect(offered("run", "-", "--durability", "")).toEqual(["fsync", "commit"]);
    expect(offered("sessions", "list", "--limit", "3", "--or")).toEqual(["--order"]);
    expect(offered("sessions", "list", "--limit", "")).toEqual([]);
    expect(new Set(offered("run", "warren."))).toEqual(new Set(SHELLS.map((shell) => `warren.${shell}`)));
    expect(offered("completion", "")).toEqual([...SHELLS]);
  });
});

test.each(SHELLS.filter(has))("%s reads its script", (shell) => {
  expect(spawnSync(shell, ["-n", script(shell)], { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
});

test("a shell nobody knows is refused", async () => {
  expect(await warren(["completion", "tcsh"])).toMatchObject({ code: 2, out: "", err: expect.stringContaining("bash, zsh, fish") });
});
