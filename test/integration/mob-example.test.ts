/** The mob example: planner and workers solve a batch by messages, are killed half-way, and go on from the store. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

const main = fileURLToPath(new URL("../../examples/mob/main.mjs", import.meta.url));
const run = promisify(execFile);

test("killed after some jobs, run again, it does the others, and every answer is right", async () => {
  const cwd = await mkdtemp(join(tmpdir(), "warren-mob-"));
  try {
    const killed = await run(process.execPath, [main, "--kill-after", "9"], { cwd }).catch((error: unknown) => error);
    expect(killed).toMatchObject({ signal: "SIGKILL" });
    const told = (killed as { stdout: string }).stdout.match(/^ *\d+\/62 /gm)?.length ?? 0;
    expect(told).toBeGreaterThanOrEqual(8); // what is written last may not come through

    const { stdout } = await run(process.execPath, [main], { cwd });
    const before = Number(/^going on: (\d+) of 62/.exec(stdout)?.[1]);
    expect(before).toBeGreaterThanOrEqual(9); // each was saved before it was told
    expect(stdout).toContain("62 of 62 jobs gave what Node's own engine gives");
    expect(stdout.match(/^ *\d+\/62 /gm)).toHaveLength(62 - before); // none is done twice
    expect(new Set(stdout.match(/(?<=\/62 )\w+/g))).toEqual(new Set(["ada", "grace", "edsger", "barbara"]));

    const again = await run(process.execPath, [main], { cwd });
    expect(again.stdout).toBe("62 of 62 jobs gave what Node's own engine gives\nthe workers answered 0 requests in this run\n");
  } finally {
    await rm(cwd, { recursive: true });
  }
});
