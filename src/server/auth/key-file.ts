/**
 * The file of keys: what is in it, and how it is changed.
 *
 *   K1. A change is seen whole or not at all, whenever the process or the machine stops.
 *   K2. Two commands that change it at the same time both take effect: each holds a lock while it reads, changes and writes.
 *   K3. Only its owner can read and write it.
 *   K4. A file that is not understood in every member is refused, and never changed.
 */
import { open, readFile, realpath, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

import * as z from "zod";

import { ROLES } from "../principal.ts";
import { withFileLock } from "./file-lock.ts";
import { TenantName } from "./options.ts";

const FORMAT = "warren-keys/1";
export const KEYS_MAX = 100_000;
const OWNER_ONLY = 0o600;
/** Epoch milliseconds up to the last day that a date can name. */
const time = z.int().nonnegative().max(8_640_000_000_000_000);

const KeySchema = z
  .strictObject({
    id: z.string().regex(/^[0-9a-f]{12}$/, "must be 12 hexadecimal digits"),
    /** SHA-256 of the secret. */
    hash: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hexadecimal digits"),
    tenant: TenantName.exactOptional(),
    role: z.enum(ROLES),
    name: z.string().min(1).max(256).exactOptional(),
    createdAt: time,
    expiresAt: time.exactOptional(),
  })
  .refine(isWhole, { path: ["tenant"], message: "read and run are roles within a tenant, admin is one over all of them and has none" });

const KeyFileSchema = z.strictObject({
  format: z.literal(FORMAT),
  keys: z
    .array(KeySchema)
    .max(KEYS_MAX)
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, "must not have two keys of one id"),
});

/** One row of the file. Times in epoch milliseconds. */
export type StoredKey = z.output<typeof KeySchema>;

/** The file is not there, cannot be read, or is not a file of keys. The message names the file and the member. */
export class KeyFileError extends Error {
  override readonly name = "KeyFileError";
}

/** @throws KeyFileError */
export async function readKeyFile(path: string): Promise<readonly StoredKey[]> {
  return parseKeyFile(await readFile(path, "utf8").catch(cannot("read", path)), path);
}

/** @throws KeyFileError */
export function parseKeyFile(text: string, path: string): readonly StoredKey[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KeyFileError(`${path} is not JSON`); // the parser's message would quote it
  }
  const { data, error } = KeyFileSchema.safeParse(value);
  if (data !== undefined) return data.keys;
  const issue = error.issues[0];
  const field = issue?.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] as string] : (issue?.path ?? []);
  throw new KeyFileError(`${path} is not a file of keys: ${["file", ...field].map(String).join(".")}: ${issue?.message ?? "is not valid"}`);
}

/**
 * Change the file under its lock; made if it is not there.
 *
 * @param change - is given the keys and returns what they are to be, or undefined to leave the file as it is
 * @throws KeyFileError; what `change` throws: then the file is as it was
 */
export async function changeKeyFile(path: string, change: (keys: readonly StoredKey[]) => readonly StoredKey[] | undefined): Promise<void> {
  const target = await targetOf(path);
  await withFileLock(target, cannot("change", path), async () => {
    const text = await readFile(target, "utf8").catch((error: NodeJS.ErrnoException) =>
      error.code === "ENOENT" ? undefined : cannot("read", path)(error),
    );
    const keys = change(text === undefined ? [] : parseKeyFile(text, path));
    if (keys === undefined) return;
    if (keys.length > KEYS_MAX) throw new KeyFileError(`${path} has ${KEYS_MAX} keys, which is as many as it may have`);
    await replace(target, `${JSON.stringify({ format: FORMAT, keys }, undefined, 2)}\n`).catch(cannot("write", path));
  });
}

/** K1, K3: a new file takes the old one's place when all of it is on the disk. */
async function replace(path: string, text: string): Promise<void> {
  const next = `${path}.${process.pid}.new`;
  try {
    await rm(next, { force: true }); // of a process of this number that died
    const handle = await open(next, "wx", OWNER_ONLY);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Not every system lets a folder be opened; the new file is in its place either way.
  }
}

/** What a link points at is changed, not the link. */
async function targetOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return path;
    return cannot("read", path)(error as Error);
  }
}

function isWhole({ tenant, role }: { tenant?: string | undefined; role: (typeof ROLES)[number] }): boolean {
  return (tenant === undefined) === (role === "admin");
}

function cannot(verb: string, path: string): (error: Error) => never {
  return (error) => {
    throw error instanceof KeyFileError ? error : new KeyFileError(`cannot ${verb} ${path}: ${error.message}`);
  };
}
