/** Stores that are wrong in one way each: the conformance suite finds every one of them, by the check that is about it. */
import { describe, expect, test } from "vitest";

import { storeConformance } from "../../dist/src/store/conformance/index.js";
import { MemoryStore } from "../../dist/src/store/memory-store.js";
import type { StoredRuntime } from "../../dist/src/protocol/stored-runtime.js";
import type { AnswerStore, KeyedTurnStore, RuntimeStore, SessionStore } from "../../dist/src/store/session-store.js";

/** What is wrong: methods in place of the good ones. `good` is the store below, which outlives `close` here. */
type Fault = (good: SessionStore) => Partial<SessionStore>;

const left = new Map<string, StoredRuntime | undefined>();

const FAULTS: Record<string, { fault: Fault; caughtBy: string[] }> = {
  "forgets fencing": {
    fault: (good) => ({ append: async (write) => good.append({ ...write, epoch: (await good.head(write.id))?.epoch ?? 0 }) }),
    caughtBy: ["each wake-up raises the epoch and fences the owner before"],
  },
  "ignores the version": {
    fault: (good) => ({ append: async (write) => good.append({ ...write, version: (await good.head(write.id))?.version ?? 0 }) }),
    caughtBy: ["a version that is not the last one is refused, and nothing changes"],
  },
  "writes half of a refused turn": {
    fault: (good) => ({
      append: async (write) => {
        if ((write.events?.length ?? 0) > 0) await good.append({ ...write, events: [] });
        return good.append(write);
      },
    }),
    caughtBy: ["numbers that are in the log, and owners that are fenced, are refused with all they brought"],
  },
  "shares what it holds": {
    fault: (good) => {
      const given = new Map<string, ReturnType<SessionStore["messages"]>>();
      return {
        messages: async (id, offset, limit) => {
          const key = `${id} ${offset} ${limit} ${(await good.head(id))?.version}`;
          return given.get(key) ?? given.set(key, good.messages(id, offset, limit)).get(key);
        },
      };
    },
    caughtBy: ["what is given and got is the caller's own"],
  },
  "lists what is archived": {
    fault: (good) => ({ list: async (query) => [...(await good.list(query)), ...(await good.list({ ...query, archived: true }))] }),
    caughtBy: ["an archived session is hidden, refuses everything, and can be read"],
  },
  "loses the order of calls": {
    fault: (good) => {
      let calls = 0;
      return {
        append: async (write) => {
          if (calls++ % 3 === 0) await new Promise(setImmediate);
          return good.append(write);
        },
      };
    },
    caughtBy: ["calls take effect in the order they were made, awaited or not"],
  },
  "forgets the last acknowledged turn when it is closed": {
    fault: (good) => {
      const pending: (() => Promise<unknown>)[] = [];
      const settle = async (): Promise<void> => {
        for (const write of pending.splice(0)) await write();
      };
      return {
        append: async (write) => {
          await settle();
          pending.push(() => good.append(write));
        },
        head: async (id) => settle().then(() => good.head(id)),
        messages: async (...args) => settle().then(() => good.messages(...args)),
        open: async (id) => settle().then(() => good.open(id)),
      };
    },
    caughtBy: ["a write that was acknowledged just before is there"],
  },
  "forgets epochs": {
    fault: (good) => ({
      open: async (id) => {
        const { head, messages } = await good.open(id);
        return { head: { ...head, epoch: 1 }, messages };
      },
    }),
    caughtBy: ["each wake-up raises the epoch and fences the owner before"],
  },
  "pages by counting only": {
    fault: (good) => ({ list: (query) => good.list({ ...query, after: undefined }) }),
    caughtBy: ["pages follow one another without a gap, also while sessions come and go"],
  },
  "matches any label": {
    fault: (good) => ({
      list: async ({ labels = {}, ...query }) => {
        const found = await Promise.all(Object.entries(labels).map(([key, value]) => good.list({ ...query, labels: { [key]: value } })));
        return found.length === 0 ? good.list(query) : [...new Map(found.flat().map((row) => [row.id, row])).values()];
      },
    }),
    caughtBy: ["labels: every pair must match, and ids do not run into values"],
  },
  "removes one input where it should remove many": {
    fault: ({ runtimes }) => ({
      runtimes: { ...(runtimes as RuntimeStore), removeInputs: (id, ids) => (runtimes as RuntimeStore).removeInputs(id, ids.slice(0, 1)) },
    }),
    caughtBy: ["inputs stand in the order in which they were added, whichever are removed"],
  },
  "gives a removed session's runtime to the next of its id": {
    fault: (good) => {
      const runtimes = good.runtimes as RuntimeStore;
      return {
        remove: async (id) => {
          const { runtimes: known } = await runtimes.page(undefined);
          const [was] = known.filter((runtime) => runtime.id === id);
          left.set(id, was);
          return good.remove(id);
        },
        create: async (session) => {
          const epoch = await good.create(session);
          const was = left.get(session.id);
          if (was !== undefined) await runtimes.put(session.id, was.state);
          return epoch;
        },
      };
    },
    caughtBy: ["a runtime stays when its session is archived or replaced, and goes with it"],
  },
  "remembers a keyed turn that was refused": {
    fault: (good) => ({
      append: async (write) => {
        const { keyed, ...rest } = write;
        const head = await good.head(write.id);
        if (keyed !== undefined && head !== undefined && !head.isArchived)
          await good.append({ ...write, epoch: head.epoch, version: head.version, events: [] });
        else await good.append(rest);
      },
    }),
    caughtBy: ["a write that is refused leaves no turn to be found"],
  },
  "remembers the last keyed turn only": {
    fault: ({ keyedTurns }) => ({
      keyedTurns: {
        find: async (id, key, now) => ((await keyedTurns?.keys(id))?.at(-1) === key ? keyedTurns?.find(id, key, now) : undefined),
        keys: async (id) => (await keyedTurns?.keys(id)) ?? [],
      },
    }),
    caughtBy: ["a turn is found by its key, however many follow it, and by no other session's"],
  },
  "remembers keyed turns for ever": {
    fault: ({ keyedTurns }) => ({
      keyedTurns: { ...(keyedTurns as KeyedTurnStore), find: async (id, key) => keyedTurns?.find(id, key, 0) },
    }),
    caughtBy: ["turns are kept for their time, and no longer"],
  },
  "lets every claim lay its answer down": {
    fault: ({ answers }) => ({
      answers: { ...(answers as AnswerStore), claim: (...args) => (answers as AnswerStore).put(...args).then(() => undefined) },
    }),
    caughtBy: ["one of several claims lays its answer down, and the others are given that"],
  },
  "leaves a removed session to the next of its id": {
    fault: (good) => ({ remove: (id) => good.archive(id, undefined) }),
    caughtBy: ["a removed session leaves nothing to one of its id", "events go with their session, and stay when it is replaced"],
  },
};

const closedStore = new MemoryStore();
await closedStore.close();

/** @returns the names of the checks that fail */
async function failures(fault: Fault): Promise<string[]> {
  const below = new Map<string, SessionStore>();
  const make = (name: string): SessionStore => {
    const good = below.get(name) ?? new MemoryStore();
    below.set(name, good);
    const wrong = fault(good);
    let isClosed = false;
    const close = (): Promise<void> => {
      isClosed = true;
      return Promise.resolve();
    };
    return new Proxy(good, {
      get: (store, member: keyof SessionStore) => {
        if (member === "close") return close;
        if (member === "events") return store.events;
        const method = wrong[member] ?? store[member as keyof MemoryStore];
        if (typeof method !== "function") return method;
        return isClosed ? () => closedStore.head("a") : method.bind(store);
      },
    });
  };
  const options = {
    open: (name: string) => Promise.resolve(make(name)),
    reopen: (store: SessionStore, name: string) => store.close().then(() => make(name)),
    seed: 1,
  };
  const failed: string[] = [];
  for (const check of storeConformance(options)) await check.run().catch(() => failed.push(check.name));
  return failed;
}

describe("a store that", () => {
  test("has no fault passes, through the same wrapper", async () => {
    expect(await failures(() => ({}))).toEqual([]);
  });

  test.each(Object.entries(FAULTS))("%s is caught", async (_, { fault, caughtBy }) => {
    expect(await failures(fault)).toEqual(expect.arrayContaining(caughtBy));
  });
});
