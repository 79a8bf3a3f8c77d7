/** Creates and forks that are sent again under their key while what came of the first is on its way out. */
import { request } from "node:http";
import type { ClientRequest } from "node:http";

import { afterEach, describe, expect, test } from "vitest";

import type { EphemeralSessionService, PersistentSessionService, Session } from "../../dist/src/index.js";
import { digest, recordKey } from "../../dist/src/server/idempotency/key.js";
import { encodeRecord } from "../../dist/src/server/idempotency/record.js";
import type { ServableService } from "../../dist/src/server/index.js";
import { LOCAL } from "../../dist/src/server/principal.js";
import { SCRIPTED, hosts, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import type { Api } from "../helpers/servers.ts";
import { expectProblem, servers } from "../helpers/servers.ts";

const openEphemeral = hosts();
const { open: openPersistent, counting } = persistentHosts();
const serve = servers();

const SLOW_SETUP = new URL("../fixtures/slow-setup.mjs", import.meta.url);
const agent = { scripted: SCRIPTED, slow: SLOW_SETUP };
const KEY = { "idempotency-key": "k" };

const clients: ClientRequest[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

/** Ask over a connection of its own, whose answer is not wanted. */
function leaver(http: Api, path: string, body: object): ClientRequest {
  const options = { method: "POST", agent: false, headers: { "content-type": "application/json", ...KEY } };
  const client = request(http.url + path, options).on("error", () => {});
  clients.push(client);
  client.end(JSON.stringify(body));
  return client;
}

const building = (service: EphemeralSessionService | PersistentSessionService): number => service.inspect().sessions.building;

describe.each(Object.entries({ ephemeral: () => openEphemeral({ agent }), persistent: () => openPersistent({ agent }) }))(
  "%s",
  (_, openHost) => {
    test.each([{ initialTurn: "defer" }, { prompt: "hello" }])(
      "%j, left while its session was being built: the next to ask waits for the end of that, and has a session",
      async (what) => {
        const service = await openHost();
        const http = await serve(service);
        const body = { ...what, agent: "slow", build: { setupMs: 600 }, cancelOnDisconnect: true };
        const first = leaver(http, "/v1/sessions", body);
        await until("it is being built", () => building(service) === 1);
        first.destroy();
        await sleep(100);
        expect(building(service)).toBe(1);
        const again = await http.post("/v1/sessions", body, KEY);
        expect(again).toMatchObject({ status: 201, body: { text: "prompt" in what ? "hello" : "" } });
        await sleep(50);
        const id = String(again.body["sessionId"]);
        expect((await service.read(id)).state.messageCount).toBe("prompt" in what ? 2 : 0);
        expect((await service.list()).map(({ sessionId }) => sessionId)).toEqual([id]);
      },
    );
  },
);

describe("in a store", () => {
  test.each([{ initialTurn: "defer" }, { prompt: "hello" }])(
    "%j, while what was built for nobody is being removed: the next to ask has one that stays",
    async (what) => {
      const { store, order, calls } = counting();
      const service = await openPersistent({ agent, store });
      const http = await serve(service);
      const body = { ...what, agent: "slow", build: { setupMs: 300 }, cancelOnDisconnect: true };
      const first = leaver(http, "/v1/sessions", body);
      await until("it is being built", () => building(service) === 1);
      order({ hold: ["remove"] });
      first.destroy();
      await until("it is being removed", () => calls().includes("remove"));
      const again = http.post("/v1/sessions", body, KEY);
      await Promise.race([again, sleep(200)]);
      order({});
      const { status, body: result } = await settled(again);
      expect(status).toBe(201);
      await sleep(50);
      expect((await service.read(String(result["sessionId"]))).state.messageCount).toBe("prompt" in what ? 2 : 0);
    },
  );
});

describe("a session that is resumed", () => {
  /** A session that sleeps. @returns what it is */
  async function stored(service: PersistentSessionService): Promise<Session> {
    const { sessionId } = await service.createSession({ prompt: "before", agent: "scripted" });
    const session = await service.exportSession(sessionId);
    await service.hibernate(sessionId);
    return session;
  }
  /** Lay down that a create was begun, as a server that was killed had done. */
  async function begun(service: PersistentSessionService, body: object): Promise<string> {
    const record = recordKey(LOCAL, "POST", "/v1/sessions", "k");
    const bytes = encodeRecord({
      state: "begun",
      fingerprint: digest(JSON.stringify(body)),
      note: "01a201b2-575e-723e-8900-98afbbb79420",
    });
    await (service as ServableService).answers?.().put(record, bytes, Date.now() + 60_000);
    return record;
  }
  /** A host with a session that sleeps, and a server in front of it. */
  const opened = async () => {
    const service = await openPersistent({ agent });
    const http = await serve(service);
    return { service, http, resumeSession: await stored(service) };
  };
  const countOf = async (service: PersistentSessionService, { id }: Session): Promise<number> =>
    (await service.read(id)).state.messageCount;

  test("left while its first turn ran: that is run for the next to ask", async () => {
    const { service, http, resumeSession } = await opened();
    const body = { prompt: script(["sleep", 300], ["say", "done"]), agent: "scripted", build: { resumeSession }, cancelOnDisconnect: true };
    const first = leaver(http, "/v1/sessions", body);
    await until("its turn runs", () => service.inspect().turns.running === 1);
    first.destroy();
    await until("its turn has ended", () => service.inspect().turns.running === 0);
    const again = await http.post("/v1/sessions", body, KEY);
    expect(again).toMatchObject({ status: 201, body: { sessionId: resumeSession.id, text: "done" } });
  });

  test("left while it was being built: the next to ask waits for the end of that", async () => {
    const { service, http, resumeSession } = await opened();
    const body = { prompt: "hello", agent: "slow", build: { resumeSession, setupMs: 600 }, cancelOnDisconnect: true };
    const first = leaver(http, "/v1/sessions", body);
    await until("it is being built", () => building(service) === 1);
    first.destroy();
    await sleep(100);
    expect(building(service)).toBe(1);
    const again = await http.post("/v1/sessions", body, KEY);
    expect(again).toMatchObject({ status: 201, body: { sessionId: resumeSession.id, text: "hello" } });
    expect(await countOf(service, resumeSession)).toBe(4);
  });

  test("O4: its first turn was saved ahead of a crash: the next to ask has that one's result, and nothing runs", async () => {
    const { service, http, resumeSession } = await opened();
    const body = { prompt: "hello", agent: "scripted", build: { resumeSession } };
    await service.createSession({ ...body, idempotencyKey: await begun(service, body) });
    await service.startTurn(resumeSession.id, { prompt: "another" });
    await service.hibernate(resumeSession.id);
    const again = await http.post("/v1/sessions", body, KEY);
    expect(again).toMatchObject({ status: 201, body: { sessionId: resumeSession.id, text: "hello" } });
    expect(await countOf(service, resumeSession)).toBe(6);
  });

  test("went on without it: it is refused, and nothing runs", async () => {
    const { service, http, resumeSession } = await opened();
    const body = { prompt: "hello", agent: "scripted", build: { resumeSession } };
    await begun(service, body);
    await service.startTurn(resumeSession.id, { prompt: "another" });
    await service.hibernate(resumeSession.id);
    expectProblem(await http.post("/v1/sessions", body, KEY), 500, "SESSION_STORE_ERROR");
    expect(await countOf(service, resumeSession)).toBe(4);
  });
});
