/** A watched file that cannot be read for a moment, as when the process has no descriptor left. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, expect, test, vi } from "vitest";

import { WatchedFile } from "../../src/server/auth/watched-file.ts";

vi.mock(import("node:fs/promises"), async (original) => {
  const actual = await original();
  return { ...actual, readFile: vi.fn<typeof actual.readFile>(actual.readFile) as typeof actual.readFile };
});

const folder = mkdtempSync(join(tmpdir(), "warren-watched-"));
const path = join(folder, "file");
let watched: WatchedFile<string>;
afterEach(() => watched.close());
afterAll(() => rmSync(folder, { recursive: true }));

test("W1: what could not be read is read at the next look, though the file is as it was; told once, and told when it is good", async () => {
  const told: string[] = [];
  const note = ({ reason }: Record<string, unknown>, message: string): void => void told.push(`${message}: ${String(reason)}`);
  const parse = (text: string): string => {
    if (text === "rubbish") throw new Error("is rubbish");
    return text;
  };
  writeFileSync(path, "one");
  watched = await WatchedFile.open({ path, parse, everyMs: 1_000_000, logger: { info: note, warn: note } });
  const failing = (times: number): void => {
    for (let n = 0; n < times; n++) vi.mocked(readFile).mockRejectedValueOnce(new Error("EMFILE"));
  };
  const look = async (): Promise<string> => {
    await watched.reload();
    return watched.value;
  };

  writeFileSync(path, "two");
  failing(2);
  expect([await look(), await look(), await look()]).toEqual(["one", "one", "two"]);
  writeFileSync(path, "rubbish");
  failing(1);
  expect([await look(), await look(), await look()]).toEqual(["two", "two", "two"]);
  const reads = vi.mocked(readFile).mock.calls.length;
  await look();
  expect(vi.mocked(readFile).mock.calls.length).toBe(reads); // what is not understood is not read again while it is the same
  const bad = "cannot be used; what was read before stays in force";
  expect(told).toEqual([`${bad}: EMFILE`, "read again: undefined", `${bad}: EMFILE`, `${bad}: is rubbish`]);
});

test("W3: a look that is on its way when it is closed changes nothing", async () => {
  const told = vi.fn<() => void>();
  writeFileSync(path, "one");
  watched = await WatchedFile.open({ path, parse: String, everyMs: 1_000_000, logger: { info: told, warn: told } });
  for (const answer of [async () => "two", () => Promise.reject(new Error("EMFILE"))]) {
    writeFileSync(path, `another state ${Math.random()}`);
    vi.mocked(readFile).mockImplementationOnce(() => {
      watched.close();
      return answer();
    });
    await watched.reload();
    expect(watched.value).toBe("one");
  }
  expect(told).not.toHaveBeenCalled();
});
