/** Opening a store in a folder: what is refused, why, and who owns it. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { StoreError } from "../../dist/src/protocol/store-error.js";
import { logUpTo, newSession, turnOf } from "../../dist/src/store/conformance/samples.js";
import { openLmdbStore } from "../../dist/src/store/lmdb-open.js";
import type { SessionStore } from "../../dist/src/store/session-store.js";
import { decodeValue, encodeValue } from "../../dist/src/transport/codec.js";
import { changeRows, inDatabase } from "../helpers/store-damage.ts";

const WRITER = fileURLToPath(new URL("../helpers/store-writer.mjs", import.meta.url));
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "warren-lmdb-"));
  path = join(folder, "store");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** @returns the error's reason and details; the store is closed if it opened */
async function refusal(options: Parameters<typeof openLmdbStore>[0]): Promise<object> {
  try {
    await (await openLmdbStore(options)).close();
  } catch (error) {
    if (error instanceof StoreError) return { reason: error.reason, ...error.details };
    throw error;
  }
  return { reason: "none" };
}

/** What is in the folder, byte by byte; the lock file is no content. */
const content = (): Map<string, string> =>
  new Map(readdirSync(path).flatMap((name) => (name === "lock.mdb" ? [] : [[name, readFileSync(join(path, name), "latin1")] as const])));

describe("what lies at the path", () => {
  test("folders are made as needed", async () => {
    path = join(folder, "one", "two.store");
    expect(await refusal({ path })).toEqual({ reason: "none" });
    expect(await refusal({ path })).toEqual({ reason: "none" });
  });

  test("a path that is a file, lies below one, or cannot be made", async () => {
    writeFileSync(path, "file");
    expect(await refusal({ path })).toMatchObject({ reason: "unwritable", path });
    expect(await refusal({ path: join(path, "below") })).toMatchObject({ reason: "unwritable" });
    expect(await refusal({ path: "/proc/warren" })).toMatchObject({ reason: "unwritable", path: "/proc/warren" });
    expect(readFileSync(path, "utf8")).toBe("file");
  });

  test("a folder with other content, and a file of that name that is not LMDB's, are left as they are", async () => {
    mkdirSync(path);
    writeFileSync(join(path, "notes.txt"), "mine");
    expect(await refusal({ path })).toMatchObject({ reason: "foreign", path });
    expect([...content()]).toEqual([["notes.txt", "mine"]]);
    writeFileSync(join(path, "data.mdb"), "x".repeat(10_000));
    expect(await refusal({ path })).toMatchObject({ reason: "foreign", path });
    expect(content().get("data.mdb")).toBe("x".repeat(10_000));
  });

  test("a folder in the place of the file", async () => {
    mkdirSync(join(path, "data.mdb"), { recursive: true });
    for (const readOnly of [true, false]) expect(await refusal({ path, readOnly })).toMatchObject({ reason: "unwritable", path });
  });

  test("another program's LMDB database is left as it is", async () => {
    await (await openLmdbStore({ path })).close();
    await inDatabase(path, (env) => env.remove("meta", Buffer.from("store")));
    await inDatabase(path, (env) => env.put("heads", Buffer.from("a"), Buffer.from("theirs")));
    await inDatabase(path, (env) => env.put("meta", Buffer.from("x"), Buffer.from("theirs")));
    const before = content();
    expect(await refusal({ path })).toMatchObject({ reason: "foreign", path });
    expect(content()).toEqual(before);
  });

  test("a store of another schema says which", async () => {
    await (await openLmdbStore({ path })).close();
    await changeRows(path, "meta", (_, value) => {
      const row = decodeValue(value);
      return Array.isArray(row) && typeof row[1] === "number" ? encodeValue([row[0], 99]) : undefined;
    });
    expect(await refusal({ path })).toEqual({ reason: "schema", path, found: 99, known: 1 });
    expect(await refusal({ path, readOnly: true })).toEqual({ reason: "schema", path, found: 99, known: 1 });
  });

  test("reading where there is no store", async () => {
    expect(await refusal({ path, readOnly: true })).toMatchObject({ reason: "unwritable" });
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a store whose making was cut short: nothing to read, and made to its end by who may write", async () => {
    mkdirSync(path);
    await inDatabase(path, () => undefined); // its tables, and nothing in them
    expect(await refusal({ path, readOnly: true })).toMatchObject({ reason: "unwritable" });
    expect(await refusal({ path })).toEqual({ reason: "none" });
    expect(await refusal({ path, readOnly: true })).toEqual({ reason: "none" });
  });
});

describe("a file that is cut off", () => {
  const damage = /is cut off: it has \d+ bytes|is damaged/;
  const fill = async (): Promise<number> => {
    const store = await openLmdbStore({ path });
    for (let n = 0; n < 100; n++) await store.create(newSession(`s${n}`, { messages: logUpTo(n) }));
    await store.close();
    return statSync(join(path, "data.mdb")).size;
  };

  test.each([1, 10, 60, 100])("by %i pages: refused, or what is missing is, and nothing else", async (pages) => {
    const size = await fill();
    truncateSync(join(path, "data.mdb"), size - pages * 4096 + 100);
    for (const readOnly of [true, false]) {
      let store: SessionStore;
      try {
        store = await openLmdbStore({ path, readOnly });
      } catch (error) {
        expect(error).toMatchObject({ reason: "corrupt", message: expect.stringMatching(damage) as string });
        continue;
      }
      expect(readOnly).toBe(false); // who only reads leaves the file as it is
      for (let n = 0; n < 100; n++) {
        const outcome = await store.messages(`s${n}`, 0, undefined).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ reason: "corrupt" });
        else expect(outcome).toEqual(logUpTo(n));
      }
      await store.close();
    }
  });

  test("so that hardly anything is left: it says how much is missing", async () => {
    const size = await fill();
    truncateSync(join(path, "data.mdb"), 3 * 4096);
    const error = await openLmdbStore({ path }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: "corrupt", details: { bytes: 3 * 4096, missing: size - 3 * 4096 } });
    expect(statSync(join(path, "data.mdb")).size).toBe(3 * 4096);
  });

  test.each([40, 100, 4096, 4097, 8191])("within the first two pages, at %i bytes: refused before LMDB looks at it", async (bytes) => {
    await fill();
    truncateSync(join(path, "data.mdb"), bytes);
    for (const readOnly of [true, false]) {
      const error = await openLmdbStore({ path, readOnly }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ reason: "corrupt", message: expect.stringMatching(damage) as string, details: { bytes } });
    }
    expect(statSync(join(path, "data.mdb")).size).toBe(bytes);
  });
});

describe("one store at a time may write", () => {
  test("a second one of this process is refused, unless it takes over; then the first one is", async () => {
    const first = await openLmdbStore({ path });
    await first.create(newSession("a"));
    expect(await refusal({ path })).toEqual({ reason: "in_use", path, pid: process.pid });
    const second = await openLmdbStore({ path, takeOver: true });
    const { epoch } = (await second.open("a")).head;
    await second.append(turnOf("a", 1, { epoch }));
    await expect(first.append(turnOf("a", 2))).rejects.toMatchObject({ reason: "in_use" });
    await first.close();
    await second.append(turnOf("a", 2, { epoch }));
    await second.close();
    expect(await refusal({ path })).toEqual({ reason: "none" });
  });

  test("another process's is refused, can be read, and is taken over as soon as that process was killed", async () => {
    const child = spawn(process.execPath, [WRITER, path, "hold"], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    await once(child.stdout, "data");
    expect(await refusal({ path, takeOver: true })).toEqual({ reason: "in_use", path, pid: child.pid });
    const reader = await openLmdbStore({ path, readOnly: true });
    expect((await reader.list({})).map(({ id }) => id)).toEqual(["a"]);
    await expect(reader.remove("a")).rejects.toMatchObject({ reason: "unwritable" });
    await reader.close();
    child.kill("SIGKILL");
    await exited;
    const store = await openLmdbStore({ path });
    expect((await store.open("a")).head.epoch).toBeGreaterThan(1);
    await store.close();
  });

  test("a copy of the folder belongs to nobody", async () => {
    const store = await openLmdbStore({ path });
    await store.create(newSession("a"));
    cpSync(path, join(folder, "copy"), { recursive: true, filter: (name) => !name.endsWith("lock.mdb") });
    expect(await refusal({ path: join(folder, "copy") })).toEqual({ reason: "none" });
    await store.close();
  });
});

describe("no room", () => {
  test("a map that is full: what failed changed nothing, reading and removing go on, and what is freed is used", async () => {
    const mapSizeBytes = 1024 * 1024;
    const store = await openLmdbStore({ path, mapSizeBytes, durability: "commit" });
    await store.create(newSession("a"));
    await store.create(newSession("b"));
    const messages = [{ role: "user" as const, content: "x".repeat(20_000) }];
    let turn = 1;
    let error: unknown;
    for (; error === undefined && turn < 200; turn++) {
      error = await store.append(turnOf("a", turn, { messages })).then(
        () => undefined,
        (refused: unknown) => refused,
      );
    }
    expect(error).toMatchObject({ reason: "full", details: { path, mapSizeBytes } });
    const head = await store.head("a");
    expect(head).toMatchObject({ version: turn - 1, logLength: turn });
    const settled = await Promise.allSettled([
      store.append(turnOf("b", 1)),
      store.append(turnOf("a", turn - 1, { messages: Array.from({ length: 50 }, () => messages).flat() })),
      store.append(turnOf("b", 2)),
    ]);
    expect(settled[1]).toMatchObject({ status: "rejected", reason: { reason: "full" } });
    expect((await store.messages("a", 0, undefined))?.length).toBe(turn);
    expect(await store.remove("a")).toBe(true);
    await store.create(newSession("c", { messages: Array.from({ length: 20 }, () => messages).flat() }));
    await store.close();
    expect(readFileSync(join(path, "data.mdb")).length).toBeLessThanOrEqual(mapSizeBytes + 64 * 1024);
    expect(await refusal({ path, mapSizeBytes })).toEqual({ reason: "none" });
  });

  test("a limit that is no limit is refused", async () => {
    expect(await refusal({ path, mapSizeBytes: 1000 })).toMatchObject({ reason: "invalid" });
  });

  test.skipIf(process.platform !== "linux")("a file that may not grow, as on a full disk", () => {
    const run = spawnSync("bash", ["-c", 'ulimit -f 1024; exec "$0" "$@"', process.execPath, WRITER, path, "fill"], { encoding: "utf8" });
    const told = JSON.parse(run.stdout.split("\n")[1] ?? "{}") as { refused: number };
    expect(told).toMatchObject({ reason: "full", details: { path }, version: told.refused - 1, messages: told.refused - 2 });
  });
});
