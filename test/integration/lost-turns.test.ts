/** Turns that were running in a lane that is lost, and what is asked of their sessions at that moment. */
import { expect, test } from "vitest";

import type { PersistentSessionService, RunResult, Session } from "../../dist/src/index.js";
import type { CountingStore } from "../helpers/persistent-hosts.ts";
import { codeOf, deferred, errorOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { contents, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, counting } = persistentHosts();

interface Lost {
  readonly id: string;
  /** Its write is held by the store. */
  readonly turn: Promise<RunResult>;
  /** The session before that turn. */
  readonly before: Session;
}

/** A turn whose lane is lost while the store writes it down. */
async function loseWhileSaving(service: PersistentSessionService, { order, calls }: CountingStore): Promise<Lost> {
  const [id, killer] = [await deferred(service), await deferred(service)];
  const before = await service.exportSession(id);
  order({ hold: ["append"] });
  const turn = service.startTurn(id, { prompt: "one" });
  await until("it is being saved", () => calls(id).includes("append"));
  void codeOf(service.startTurn(killer, { prompt: script(["exit", 1]) }));
  await until("the lane is lost", () => service.inspect().lanesLost > 0);
  return { id, turn, before };
}

test("LT1: a turn that was saved is answered with its result, although its session is removed at once", async () => {
  const store = counting();
  const service = await open({ store: store.store, archivePolicy: "delete" });
  const { id, turn } = await loseWhileSaving(service, store);
  const archived = service.archive(id);
  await sleep(50);
  store.order({});
  expect((await settled(turn)).text).toBe("one");
  await settled(archived);
  expect(service.inspect().turns).toMatchObject({ settled: 2, failed: 1 }); // the one that ended the lane
  expect(await service.loadPersisted(id)).toBeUndefined();
});

test("LT1: a turn that was saved is answered with its result, and a create that would go back behind it is refused", async () => {
  const store = counting();
  const service = await open({ store: store.store });
  const { id, turn, before } = await loseWhileSaving(service, store);
  const replaced = service.createSession({ prompt: "", initialTurn: "defer", build: { resumeSession: before } });
  await sleep(50);
  store.order({});
  expect((await settled(turn)).text).toBe("one");
  expect(await errorOf(replaced)).toMatchObject({ code: "SESSION_STORE_ERROR", details: { reason: "stale" } });
  expect(contents((await service.exportSession(id)).messages)).toEqual(["one", "one"]);
});
