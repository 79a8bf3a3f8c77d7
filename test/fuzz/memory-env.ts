/** The tables of an LMDB database in memory, so that rows can be damaged a hundred thousand times over. */
import { IssuedEpochs } from "../../src/store/issued-epochs.ts";
import type { LmdbEnv, Range, Table } from "../../src/store/lmdb-env.ts";

interface Row {
  key: Uint8Array;
  value: Uint8Array;
}

export class MemoryEnv {
  readonly epochs = new IssuedEpochs();
  readonly #tables = new Map<Table, Row[]>();

  /** As the store takes it: it has the members that are used on rows. */
  get env(): LmdbEnv {
    return this as unknown as LmdbEnv;
  }

  rows(table: Table): Row[] {
    let rows = this.#tables.get(table);
    if (rows === undefined) this.#tables.set(table, (rows = []));
    return rows;
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.rows(table).find((row) => Buffer.compare(row.key, key) === 0)?.value;
  }

  peek(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.get(table, key);
  }

  has(table: Table, key: Uint8Array): boolean {
    return this.get(table, key) !== undefined;
  }

  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    this.remove(table, key);
    const rows = this.rows(table);
    rows.push({ key: Uint8Array.from(key), value: Uint8Array.from(value) });
    rows.sort((a, b) => Buffer.compare(a.key, b.key));
  }

  remove(table: Table, key: Uint8Array): void {
    const rows = this.rows(table);
    const at = rows.findIndex((row) => Buffer.compare(row.key, key) === 0);
    if (at >= 0) rows.splice(at, 1);
  }

  *entries(table: Table, { start, end, reverse = false, limit = Number.POSITIVE_INFINITY }: Range): Iterable<Row> {
    const found = this.rows(table).filter(({ key }) =>
      reverse
        ? Buffer.compare(key, start) <= 0 && Buffer.compare(key, end) > 0
        : Buffer.compare(key, start) >= 0 && Buffer.compare(key, end) < 0,
    );
    yield* (reverse ? found.reverse() : found).slice(0, limit);
  }

  *keys(table: Table, range: Range): Iterable<Uint8Array> {
    for (const { key } of this.entries(table, range)) yield key;
  }

  finish(run: () => void): void {
    run();
  }

  /** The same rows, in tables of its own. */
  copy(): MemoryEnv {
    const copy = new MemoryEnv();
    for (const [table, rows] of this.#tables)
      copy.#tables.set(
        table,
        rows.map(({ key, value }) => ({ key, value })),
      );
    return copy;
  }
}
