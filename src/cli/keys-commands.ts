/** `warren keys create`, `list` and `revoke`. A secret is printed to standard output when it is made, and nowhere else. */
import type { Role } from "../server/principal.ts";
import type { StoredKey } from "../server/auth/key-file.ts";
import { KeyFileError, changeKeyFile, readKeyFile } from "../server/auth/key-file.ts";
import { TenantName } from "../server/auth/options.ts";
import { newSecret } from "../server/auth/secrets.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError } from "./command-io.ts";
import { printable, printableLines } from "./printable.ts";
import { plainTable, timeOf } from "./tables.ts";

const CELL_MAX = 60;
const NAME_MAX = 256;

export interface CreateKeyOptions {
  readonly file: string;
  readonly tenant?: string;
  readonly role: Role;
  readonly name?: string;
  /** Milliseconds. */
  readonly expires?: number;
  readonly json: boolean;
}

/** @returns the exit code. @throws UsageError */
export async function createKey({ file, tenant, role, name, expires, json }: CreateKeyOptions, io: CommandIo): Promise<number> {
  if (role === "admin" && tenant !== undefined) throw new UsageError("option '--tenant <name>': an admin's key is for all tenants");
  if (role !== "admin" && tenant === undefined) throw new UsageError(`option '--tenant <name>': a key of the role ${role} needs one`);
  if (tenant !== undefined && !TenantName.safeParse(tenant).success)
    throw new UsageError("option '--tenant <name>': it must be 1 to 128 visible ASCII characters");
  if (name === "" || (name !== undefined && name.length > NAME_MAX))
    throw new UsageError(`option '--name <name>': it must be 1 to ${NAME_MAX} characters`);
  const createdAt = Date.now();
  const { id, token, hash } = newSecret();
  const key: StoredKey = {
    id,
    hash,
    ...(tenant !== undefined && { tenant }),
    role,
    ...(name !== undefined && { name }),
    createdAt,
    ...(expires !== undefined && { expiresAt: createdAt + expires }),
  };
  await understood(changeKeyFile(file, (keys) => [...keys, key]));
  io.stdout.write(`${json ? JSON.stringify({ key: token, ...shown(key) }) : token}\n`);
  if (!json) io.stderr.write(`key ${id}: keep it now, it is not shown again\n`);
  return EXIT.ok;
}

/** @returns the exit code. @throws UsageError */
export async function listKeys({ file, json }: { file: string; json: boolean }, io: CommandIo): Promise<number> {
  const keys = await understood(readKeyFile(file));
  if (json) {
    for (const key of keys) io.stdout.write(`${JSON.stringify(shown(key))}\n`);
    return EXIT.ok;
  }
  const table = plainTable("id", "role", "tenant", "name", "created", "expires");
  for (const { id, role, tenant = "(all)", name = "", createdAt, expiresAt } of keys) {
    const end = expiresAt === undefined ? "never" : `${timeOf(expiresAt)}${hasExpired(expiresAt) ? " (past)" : ""}`;
    table.push([id, role, printable(tenant, CELL_MAX), printable(name, CELL_MAX), timeOf(createdAt), end]);
  }
  io.stdout.write(`${table.toString()}\n`);
  return EXIT.ok;
}

/** @returns the exit code: EXIT.failed when one was not there; the others are revoked. @throws UsageError */
export async function revokeKeys(ids: readonly string[], { file, json }: { file: string; json: boolean }, io: CommandIo): Promise<number> {
  const wanted = new Set(ids);
  const revoked = new Set<string>();
  await understood(readKeyFile(file)); // there is nothing to revoke in a file that is not there
  await understood(
    changeKeyFile(file, (keys) => {
      const kept = keys.filter(({ id }) => !wanted.has(id));
      for (const { id } of keys) if (wanted.has(id)) revoked.add(id);
      return revoked.size === 0 ? undefined : kept;
    }),
  );
  for (const id of wanted) {
    const isRevoked = revoked.has(id);
    if (json) io.stdout.write(`${JSON.stringify({ id, isRevoked })}\n`);
    else if (isRevoked) io.stdout.write(`revoked ${id}\n`);
    if (!isRevoked) io.stderr.write(`error: there is no key ${printable(id, CELL_MAX)}\n`);
  }
  return revoked.size === wanted.size ? EXIT.ok : EXIT.failed;
}

/** What of a key is told: all but what recognizes it. */
function shown(stored: StoredKey): object {
  const { hash: _, ...key } = stored;
  return { ...key, hasExpired: hasExpired(key.expiresAt) };
}

const hasExpired = (expiresAt: number | undefined): boolean => expiresAt !== undefined && Date.now() >= expiresAt;

/** @throws UsageError in place of KeyFileError */
async function understood<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof KeyFileError ? new UsageError(`option '--file <file>': ${printableLines(error.message)}`) : error;
  }
}
