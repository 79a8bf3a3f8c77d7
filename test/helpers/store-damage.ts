/** Rows of a store's database, read and changed behind its back. */
import { LmdbEnv } from "../../dist/src/store/lmdb-env.js";
import type { Table } from "../../dist/src/store/lmdb-env.js";
import { decodeValue } from "../../dist/src/transport/codec.js";

/** Run with the closed database of a store; what is changed is committed. */
export async function inDatabase<T>(path: string, work: (env: LmdbEnv) => T): Promise<T> {
  const env = new LmdbEnv({ path, readOnly: false, durability: "commit" });
  try {
    return env.transaction(() => work(env));
  } finally {
    await env.close();
  }
}

const ALL = { start: Buffer.of(0), end: Buffer.from("ff".repeat(40), "hex") };

/** Replace every row of a table that `change` gives something else for. @returns how many were replaced */
export function changeRows(
  path: string,
  table: Table,
  change: (key: Uint8Array, value: Uint8Array) => Uint8Array | undefined,
): Promise<number> {
  return inDatabase(path, (env) => {
    const rows = [...env.entries(table, ALL)];
    let changed = 0;
    for (const { key, value } of rows) {
      const other = change(key, value);
      if (other === undefined) continue;
      env.put(table, key, other);
      changed++;
    }
    return changed;
  });
}

/** Number of a session, as its head's row says. */
export function numberOfSession(path: string, id: string): Promise<number> {
  return inDatabase(path, (env) => {
    const row = env.get("heads", Buffer.from(id));
    if (row === undefined) throw new Error(`no session ${id}`);
    return (decodeValue(row) as number[])[1] as number;
  });
}
