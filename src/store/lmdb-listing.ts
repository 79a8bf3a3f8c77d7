/**
 * Listings, and the indexes they read: sessions by the time of their last write and by label. A page costs what it holds, whatever else
 * is stored; archived sessions are in tables and indexes of their own.
 *
 * An entry of an index may be left behind by a session whose head could not be read, so what a head says counts, not the index.
 */
import type { SessionId } from "../protocol/ids.ts";
import type { StoredQuery, StoredSummary } from "../protocol/stored-session.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { behind, concat, idKey, idOfLabel, idOfUpdated, labelPrefix, next, updatedKey } from "./lmdb-keys.ts";
import { decodeHead } from "./lmdb-rows.ts";
import type { HeadRow } from "./lmdb-rows.ts";
import { compareListed, isAskedFor, summaryOf } from "./session-rules.ts";
import { StoreError } from "../protocol/store-error.ts";

/** With labels and by time: as many are sorted in memory; are there more, sessions are walked by time and their labels looked at. */
const SORTED_MAX = 1000;
const EMPTY = new Uint8Array(0);

/** Make the indexes say what a head says. */
export function index(env: LmdbEnv, id: SessionId, head: HeadRow): void {
  env.put("updated", updatedKey(head.isArchived, head.updatedAt, id), EMPTY);
  for (const [label, value] of Object.entries(head.labels)) {
    env.put("labels", concat(labelPrefix(head.isArchived, label, value), idKey(id)), EMPTY);
  }
}

/** Take a session out of the indexes. @param head - as `index` was last told of it */
export function unindex(env: LmdbEnv, id: SessionId, head: HeadRow): void {
  env.remove("updated", updatedKey(head.isArchived, head.updatedAt, id));
  for (const [label, value] of Object.entries(head.labels)) {
    env.remove("labels", concat(labelPrefix(head.isArchived, label, value), idKey(id)));
  }
}

/** For a write: labels never change. */
export function reindex(env: LmdbEnv, id: SessionId, before: HeadRow, after: HeadRow): void {
  if (before.updatedAt === after.updatedAt) return;
  env.remove("updated", updatedKey(before.isArchived, before.updatedAt, id));
  env.put("updated", updatedKey(after.isArchived, after.updatedAt, id), EMPTY);
}

/** @param onUnreadable - told of heads that cannot be read: they are left out (B4) */
export function list(env: LmdbEnv, query: StoredQuery, onUnreadable: (error: StoreError) => void): StoredSummary[] {
  const { offset = 0, limit = Number.POSITIVE_INFINITY } = query;
  const page: StoredSummary[] = [];
  let skipped = 0;
  if (limit === 0) return page;
  for (const [id, head] of headsOf(env, query, onUnreadable)) {
    if (skipped++ < offset) continue;
    page.push(summaryOf({ ...head, id, system: head.hasSystem ? "" : undefined }));
    if (page.length >= limit) break;
  }
  return page;
}

type Found = readonly [id: SessionId, head: HeadRow];

/** All sessions that a query asks for, in its order. */
function* headsOf(env: LmdbEnv, query: StoredQuery, onUnreadable: (error: StoreError) => void): Iterable<Found> {
  const isArchived = query.archived ?? false;
  const table = isArchived ? "archived" : "heads";
  const head = (id: SessionId, found?: Uint8Array): HeadRow | undefined => {
    if (id === "") return undefined; // of an index's key that is none
    try {
      const bytes = found ?? env.get(table, idKey(id));
      return bytes && decodeHead(bytes, id, isArchived);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      onUnreadable(error);
      return undefined;
    }
  };
  if (query.order !== "updated" && Object.keys(query.labels ?? {}).length === 0) {
    for (const { key, value } of env.entries(table, { start: startOf(query), end: LAST_KEY })) {
      const id = Buffer.from(key).toString();
      const found = head(id, value);
      if (found && isAskedFor(found, query)) yield [id, found];
    }
    return;
  }
  for (const id of query.order === "updated" ? byTime(env, query, head) : byLabels(env, query)) {
    const found = head(id);
    if (found && isAskedFor(found, query)) yield [id, found];
  }
}

const startOf = ({ after }: StoredQuery): Uint8Array => (after === undefined ? Buffer.of(0) : next(idKey(after)));
/** UTF-8 has no byte 0xff. */
const LAST_KEY = Buffer.of(0xff);

function* byTime(env: LmdbEnv, query: StoredQuery, head: (id: SessionId) => HeadRow | undefined): Iterable<SessionId> {
  if (Object.keys(query.labels ?? {}).length > 0) {
    const matching: SessionId[] = [];
    for (const id of byLabels(env, query)) {
      matching.push(id);
      if (matching.length > SORTED_MAX) break;
    }
    if (matching.length <= SORTED_MAX) {
      const found = matching.map((id) => ({ id, updatedAt: head(id)?.updatedAt ?? 0 }));
      yield* found.sort(compareListed("updated")).map(({ id }) => id);
      return;
    }
  }
  const isArchived = query.archived ?? false;
  const start = Buffer.of(isArchived ? 1 : 0, 0xff);
  // Behind the last one before: reversed ranges do not hold their end.
  const end = updatedKey(isArchived, query.updatedAfter ?? 0, "");
  for (const key of env.keys("updated", { start, end, reverse: true })) yield idOfUpdated(key);
}

/** Ids that have every pair, ascending: whichever pair's next id is furthest is what the others are asked for. */
function* byLabels(env: LmdbEnv, query: StoredQuery): Iterable<SessionId> {
  const prefixes = Object.entries(query.labels ?? {}).map(([label, value]) => labelPrefix(query.archived ?? false, label, value));
  const [only] = prefixes;
  if (only !== undefined && prefixes.length === 1) {
    for (const key of env.keys("labels", { start: concat(only, startOf(query)), end: behind(only) })) yield idOfLabel(key);
    return;
  }
  let from = startOf(query);
  let candidate: Uint8Array | undefined;
  let agreed = 0;
  for (let turn = 0; ; turn = (turn + 1) % prefixes.length) {
    const prefix = prefixes[turn] as Buffer;
    const [key] = env.keys("labels", { start: concat(prefix, from), end: behind(prefix), limit: 1 });
    if (key === undefined) return;
    const found = key.subarray(prefix.length);
    agreed = candidate !== undefined && Buffer.compare(found, candidate) === 0 ? agreed + 1 : 1;
    candidate = found;
    from = Buffer.from(found);
    if (agreed < prefixes.length) continue;
    yield idOfLabel(key);
    from = next(found);
    candidate = undefined;
  }
}
