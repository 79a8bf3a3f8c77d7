/** Creates and forks that are sent again under their key while what came of the first is on its way out. */
import { request } from "node:http";
import type { ClientRequest } from "node:http";

import { afterEach, describe, expect, test } from "vitest";

import type { EphemeralSessionService, PersistentSessionService } from "../../dist/src/index.js";
import { SCRIPTED, hosts, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import type { Api } from "../helpers/servers.ts";
import { servers } from "../helpers/servers.ts";

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
