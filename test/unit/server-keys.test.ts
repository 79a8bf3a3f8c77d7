/** The file of keys, the lock beside it, and the keys in force. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";

import { withFileLock } from "../../src/server/auth/file-lock.ts";
import type { StoredKey } from "../../src/server/auth/key-file.ts";
import { KEYS_MAX, KeyFileError, changeKeyFile, parseKeyFile, readKeyFile } from "../../src/server/auth/key-file.ts";
import { KeyRing } from "../../src/server/auth/key-ring.ts";
import { isSecretOf, newSecret, readToken } from "../../src/server/auth/secrets.ts";
import { WatchedFile } from "../../src/server/auth/watched-file.ts";

const root = mkdtempSync(join(tmpdir(), "warren-keys-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "t-"));
  file = join(folder, "keys.json");
});

const storedKey = (fields: Partial<StoredKey> = {}): StoredKey & { token: string } => {
  const { id, hash, token } = newSecret();
  return { id, hash, tenant: "acme", role: "run", createdAt: 1, ...fields, token };
};
const row = (stored: StoredKey & { token?: string }): StoredKey => {
  const { token: _, ...key } = stored;
  return key;
};
const write = (keys: readonly object[], more: object = {}): void =>
  writeFileSync(file, JSON.stringify({ format: "warren-keys/1", keys, ...more }));
const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  return (error as Error).message;
};

describe("secrets", () => {
  test("a key is its id and 32 random bytes, and only its hash recognizes it", () => {
    const { id, token, hash } = newSecret();
    expect(token).toMatch(new RegExp(`^wk_${id}_[A-Za-z0-9_-]{43}$`));
    const { secret } = readToken(token) as { secret: string };
    expect(Buffer.from(secret, "base64url")).toHaveLength(32);
    expect(isSecretOf(secret, hash)).toBe(true);
    expect(isSecretOf(`${secret.slice(0, -1)}${secret.endsWith("A") ? "B" : "A"}`, hash)).toBe(false);
    expect(isSecretOf("", hash)).toBe(false);
  });

  test.each([
    "",
    "wk_",
    "wk_0123456789ab",
    "wk_0123456789ab_short",
    `wk_0123456789AB_${"a".repeat(43)}`,
    `wk_0123456789ab_${"a".repeat(44)}`,
  ])("%j is none", (token) => {
    expect(readToken(token)).toBeUndefined();
  });
});

describe("key file", () => {
  test("K1, K3: is made with what was added, for its owner only, and nothing is left beside it", async () => {
    const key = row(storedKey());
    await changeKeyFile(file, () => [key]);
    expect(await readKeyFile(file)).toEqual([key]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["keys.json"]);
  });

  test("K2: changes at the same time all take effect", async () => {
    const keys = Array.from({ length: 8 }, () => row(storedKey()));
    await Promise.all(keys.map((key) => changeKeyFile(file, (there) => [...there, key])));
    const ids = (list: readonly StoredKey[]): string[] => list.map(({ id }) => id).sort();
    expect(ids(await readKeyFile(file))).toEqual(ids(keys));
  });

  test("what a link points at is changed", async () => {
    write([]);
    const link = join(folder, "link.json");
    symlinkSync(file, link);
    const key = row(storedKey());
    await changeKeyFile(link, () => [key]);
    expect(await readKeyFile(file)).toEqual([key]);
  });

  test("K1: a change that throws, or changes nothing, leaves the file as it was", async () => {
    write([]);
    const before = [readFileSync(file, "utf8"), statSync(file).ino];
    await changeKeyFile(file, () => undefined);
    expect(await messageOf(changeKeyFile(file, () => { throw new Error("no"); }))).toBe("no"); // prettier-ignore
    const tooMany = Array.from({ length: KEYS_MAX + 1 }, () => ({}) as StoredKey);
    expect(await messageOf(changeKeyFile(file, () => tooMany))).toMatch(/as many as it may have/);
    expect([readFileSync(file, "utf8"), statSync(file).ino]).toEqual(before);
    expect(readdirSync(folder)).toEqual(["keys.json"]);
  });

  test("K4: a file that is not understood is refused by the name of the member, and not changed", async () => {
    const key = row(storedKey());
    const cases: [problem: RegExp, text: string][] = [
      [/is not JSON$/, '{"secret":'],
      [/file\.format/, JSON.stringify({ keys: [] })],
      [/file\.more/, JSON.stringify({ format: "warren-keys/1", keys: [], more: 1 })],
      [/file\.keys\.0\.secret/, JSON.stringify({ format: "warren-keys/1", keys: [{ ...key, secret: "x" }] })],
      [/file\.keys\.0\.hash/, JSON.stringify({ format: "warren-keys/1", keys: [{ ...key, hash: "x" }] })],
      [/file\.keys\.0\.role/, JSON.stringify({ format: "warren-keys/1", keys: [{ ...key, role: "root" }] })],
      [/file\.keys\.0\.tenant: read and run/, JSON.stringify({ format: "warren-keys/1", keys: [{ ...key, role: "admin" }] })],
      [/file\.keys\.0\.tenant: read and run/, JSON.stringify({ format: "warren-keys/1", keys: [{ ...key, tenant: undefined }] })],
      [/file\.keys: must not have two/, JSON.stringify({ format: "warren-keys/1", keys: [key, key] })],
    ];
    for (const [problem, text] of cases) {
      writeFileSync(file, text);
      expect(() => parseKeyFile(text, file)).toThrow(KeyFileError);
      expect(await messageOf(changeKeyFile(file, () => []))).toMatch(problem);
      expect(readFileSync(file, "utf8")).toBe(text);
    }
  });

  test("one that cannot be read says so", async () => {
    expect(await messageOf(readKeyFile(join(folder, "none.json")))).toMatch(/^cannot read .*none\.json: ENOENT/);
    expect(await messageOf(changeKeyFile(join(folder, "no/where.json"), () => []))).toMatch(/^cannot change .*where\.json: ENOENT/);
  });
});

describe("file lock", () => {
  const refuse = (error: Error): never => {
    throw error;
  };

  test("F1: one at a time", async () => {
    let inside = 0;
    const enter = (): Promise<void> =>
      withFileLock(file, refuse, async () => {
        expect(++inside).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
      });
    await Promise.all([enter(), enter(), enter(), enter()]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("F2: a lock of a process that died is taken away", async () => {
    writeFileSync(`${file}.lock`, `4194999 ${hostname()} x`); // beyond what Linux numbers processes to
    expect(await withFileLock(file, refuse, async () => 7)).toBe(7);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([`${process.pid} ${hostname()} x`, "1 another-machine x", ""])("F3: waiting for %j ends", async (holder) => {
    writeFileSync(`${file}.lock`, holder);
    expect(await messageOf(withFileLock(file, refuse, async () => 7, 50))).toMatch(/is held by .*; remove it if nobody is at work$/);
    expect(readFileSync(`${file}.lock`, "utf8")).toBe(holder);
  });

  test("is given back when the work fails", async () => {
    expect(await messageOf(withFileLock(file, refuse, () => Promise.reject(new Error("no"))))).toBe("no");
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("watched file", () => {
  const open: WatchedFile<number>[] = [];
  const logged: [message: string, fields: Record<string, unknown>][] = [];
  const logger = {
    info: (fields: Record<string, unknown>, message: string) => void logged.push([message, fields]),
    warn: (fields: Record<string, unknown>, message: string) => void logged.push([message, fields]),
  };
  const watch = async (everyMs = 1_000_000): Promise<WatchedFile<number>> => {
    const parse = (text: string): number => {
      if (!/^\d+$/.test(text)) throw new Error("no number");
      return Number(text);
    };
    const watched = await WatchedFile.open({ path: file, parse, everyMs, logger });
    open.push(watched);
    return watched;
  };
  afterEach(() => {
    for (const watched of open.splice(0)) watched.close();
    logged.length = 0;
  });

  test("W1: keeps the last good state when the file is broken or gone, says so once, and goes on when it is good again", async () => {
    writeFileSync(file, "1");
    const watched = await watch();
    writeFileSync(file, "22");
    await watched.reload();
    expect(watched.value).toBe(22);
    writeFileSync(file, "rubbish");
    await watched.reload();
    await watched.reload();
    expect(watched.value).toBe(22);
    rmSync(file);
    await watched.reload();
    await watched.reload();
    expect(watched.value).toBe(22);
    writeFileSync(file, "3");
    await watched.reload();
    expect(watched.value).toBe(3);
    expect(logged.map(([message]) => message)).toEqual([
      "read again",
      "cannot be used; what was read before stays in force",
      "cannot be used; what was read before stays in force",
      "read again",
    ]);
    expect(logged[1]?.[1]).toEqual({ path: file, reason: "no number" });
  });

  test("W2: sees a change by itself, and not after it was closed", async () => {
    writeFileSync(file, "1");
    const watched = await watch(5);
    writeFileSync(file, "22");
    await expect.poll(() => watched.value).toBe(22);
    watched.close();
    writeFileSync(file, "333");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(watched.value).toBe(22);
  });

  test("is not opened on what cannot be used", async () => {
    expect(await messageOf(watch())).toMatch(/ENOENT/);
    writeFileSync(file, "rubbish");
    expect(await messageOf(watch())).toBe("no number");
  });
});

describe("key ring", () => {
  let ring: KeyRing;
  afterEach(() => ring.close());

  test("finds whose key it is, by the whole of it and until it expires", async () => {
    const [run, admin, short] = [storedKey(), storedKey({ role: "admin" }), storedKey({ expiresAt: 1000, tenant: "b" })];
    delete (admin as { tenant?: string }).tenant;
    write([run, admin, short].map(row));
    ring = await KeyRing.open(file, 1_000_000);
    expect(ring.find(run.token)).toEqual({ tenant: "acme", role: "run", key: run.id });
    expect(ring.find(admin.token)).toEqual({ tenant: undefined, role: "admin", key: admin.id });
    expect(ring.find(short.token, 999)).toEqual({ tenant: "b", role: "run", key: short.id });
    expect(ring.find(short.token, 1000)).toBeUndefined();
    const other = readToken(admin.token) as { secret: string };
    expect(ring.find(`wk_${run.id}_${other.secret}`)).toBeUndefined();
    expect(ring.find(newSecret().token)).toBeUndefined();
    expect(ring.find(`wk_${run.id}_${run.hash.slice(0, 43)}`)).toBeUndefined();
  });

  test("forgets a key that was taken out of the file, and a broken file changes nothing", async () => {
    const key = storedKey();
    write([row(key)]);
    ring = await KeyRing.open(file, 1_000_000);
    writeFileSync(file, "{");
    await ring.reload();
    expect(ring.find(key.token)).toBeDefined();
    write([]);
    await ring.reload();
    expect(ring.find(key.token)).toBeUndefined();
  });
});
