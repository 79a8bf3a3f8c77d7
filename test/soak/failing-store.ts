/** A store on disk, some of whose writes fail, before or after they are done. `options`: { path, seed, share }, share being 0 to 1. */
import { openLmdbStore } from "../../src/store/lmdb-open.ts";
import { StoreError } from "../../src/store.ts";
import type { SessionStore } from "../../src/store.ts";
import { randomOf } from "./random.ts";

const WRITES = new Set<string | symbol>(["create", "openPacked", "writePacked", "archive", "putContext"]);

export interface FailingStoreOptions {
  readonly path: string;
  readonly seed: number;
  readonly share: number;
}

export async function createSessionStore({ path, seed, share }: FailingStoreOptions): Promise<SessionStore> {
  const store = await openLmdbStore({ path, mapSizeBytes: undefined, durability: "commit", takeOver: false });
  const random = randomOf(seed);
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      const call = (...args: unknown[]): unknown => Reflect.apply(member, target, args);
      if (!WRITES.has(name)) return call;
      return async (...args: unknown[]) => {
        const chance = random();
        if (chance < share / 2) throw new StoreError("io", `${String(name)} fails before it is done`);
        const answer = await call(...args);
        if (chance < share) throw new StoreError("io", `${String(name)} fails when it is done`);
        return answer;
      };
    },
  });
}
