/** Requests that are sent again: answered as the first time, nothing done twice. */
import { afterAll, describe, expect, test } from "vitest";

import { digest, recordKey } from "../../dist/src/server/idempotency/key.js";
import { encodeRecord } from "../../dist/src/server/idempotency/record.js";
import type { ServableService } from "../../dist/src/server/index.js";
import type { Principal } from "../../dist/src/server/principal.js";
import { LOCAL } from "../../dist/src/server/principal.js";
import { script, sharedHost } from "../helpers/hosts.ts";
import { keyFileOf } from "../helpers/keys.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import type { Answer, Api } from "../helpers/servers.ts";
import { expectProblem, servers, sharedServer } from "../helpers/servers.ts";

const { open: openPersistent, folder } = persistentHosts();
const serve = servers();
const shared = sharedHost();
const sharedApi = sharedServer(shared);

const { file, keys, remove } = keyFileOf({ acme: { tenant: "acme", role: "run" } });
afterAll(remove);

const KEY = { "idempotency-key": "k-1" };
const messagesOf = async (http: Api, id: string): Promise<number> =>
  (await http.get<{ messageCount: number }>(`/v1/sessions/${id}/history?limit=0`)).body.messageCount;
const isReplay = ({ headers }: Answer): boolean => headers.get("idempotency-replayed") === "true";

describe("a turn", () => {
  test("is answered again, whatever ran meanwhile, and does not run again", async () => {
    const http = sharedApi();
    const path = `/v1/sessions/${await http.session()}/turns`;
    const id = path.split("/")[3] as string;
    const first = await http.post(path, { prompt: "once" }, KEY);
    await http.post(path, { prompt: "another" });
    const again = await http.post(path, { prompt: "once" }, KEY);
    expect(again.body).toEqual(first.body);
    expect([isReplay(first), isReplay(again)]).toEqual([false, true]);
    expect(await messagesOf(http, id)).toBe(4);
  });

  test("a quoted key is the same key; another session's is another", async () => {
    const http = sharedApi();
    const [one, other] = [await http.session(), await http.session()];
    await http.post(`/v1/sessions/${one}/turns`, { prompt: "x" }, KEY);
    expect(isReplay(await http.post(`/v1/sessions/${one}/turns`, { prompt: "x" }, { "idempotency-key": '"k-1"' }))).toBe(true);
    expect(isReplay(await http.post(`/v1/sessions/${other}/turns`, { prompt: "x" }, KEY))).toBe(false);
  });

  test("O1: sent many times at once it runs once, and all are told its result", async () => {
    const http = sharedApi();
    const id = await http.session();
    const prompt = script(["sleep", 100], ["say", "done"]);
    const answers = await Promise.all(Array.from({ length: 10 }, () => http.post(`/v1/sessions/${id}/turns`, { prompt }, KEY)));
    expect(new Set(answers.map(({ status, body }) => `${status} ${String(body["text"])}`))).toEqual(new Set(["200 done"]));
    expect(await messagesOf(http, id)).toBe(2);
  });

  test("O1: so are they told its failure; all but one are told that it is another's", async () => {
    const http = sharedApi();
    const id = await http.session();
    const prompt = script(["sleep", 100], ["fail", "on purpose"]);
    const answers = await Promise.all(Array.from({ length: 5 }, () => http.post(`/v1/sessions/${id}/turns`, { prompt }, KEY)));
    for (const answer of answers) expectProblem(answer, 500, "AGENT_ERROR");
    expect(answers.filter(isReplay)).toHaveLength(4);
  });

  test("O2: another body under the key is a conflict, while it runs and afterwards", async () => {
    const http = sharedApi();
    const path = `/v1/sessions/${await http.session()}/turns`;
    const running = http.post(path, { prompt: script(["sleep", 200]) }, KEY);
    await expect.poll(() => shared().inspect().turns.running).toBeGreaterThan(0);
    expectProblem(await http.post(path, { prompt: "else" }, KEY), 422, "IDEMPOTENCY_CONFLICT");
    await running;
    expectProblem(await http.post(path, { prompt: "else" }, KEY), 422, "IDEMPOTENCY_CONFLICT");
  });

  test("O3: a failure that would only fail again is remembered, one that may pass is not", async () => {
    const http = sharedApi();
    const path = `/v1/sessions/${await http.session()}/turns`;
    const failing = { prompt: script(["fail", "on purpose"]) };
    const [first, again] = [await http.post(path, failing, KEY), await http.post(path, failing, KEY)];
    expectProblem(first, 500, "AGENT_ERROR");
    expectProblem(again, 500, "AGENT_ERROR");
    expect(again.body).toEqual(first.body);
    expect([isReplay(first), isReplay(again)]).toEqual([false, true]);
    const running = http.post(path, { prompt: script(["sleep", 300]) });
    await expect.poll(() => shared().inspect().turns.running).toBeGreaterThan(0);
    const key = { "idempotency-key": "k-2" };
    expectProblem(await http.post(path, { prompt: "x" }, key), 409, "SESSION_BUSY");
    await running;
    expect(await http.post(path, { prompt: "x" }, key)).toMatchObject({ status: 200, body: { text: "x" } });
  });

  test("as events it is told its result alone", async () => {
    const http = sharedApi();
    const path = `/v1/sessions/${await http.session()}/turns`;
    const init = {
      method: "POST",
      body: JSON.stringify({ prompt: script(["emit", 2], ["say", "done"]) }),
      headers: { ...KEY, accept: "text/event-stream", "content-type": "application/json" },
    };
    const names = async (): Promise<string[]> =>
      [...(await (await fetch(http.url + path, init)).text()).matchAll(/^event: (.*)$/gm)].map((match) => match[1] as string);
    expect(await names()).toEqual(["admitted", "result"]);
    expect(await names()).toEqual(["result"]);
  });

  test("as events it is a stream at once while the first runs, which then says how that ended", async () => {
    const http = sharedApi();
    const endings: [unknown, string][] = [
      [["say", "done"], "result"],
      [["fail", "on purpose"], "problem"],
    ];
    for (const [ending, last] of endings) {
      const path = `/v1/sessions/${await http.session()}/turns`;
      const body = { prompt: JSON.stringify([["sleep", 600], ending]) };
      const headers = { ...KEY, accept: "text/event-stream", "content-type": "application/json" };
      const init = { method: "POST", body: JSON.stringify(body), headers };
      const first = http.post(path, body, KEY);
      await expect.poll(() => shared().inspect().turns.running).toBeGreaterThan(0);
      const answer = await fetch(http.url + path, init);
      expect([answer.status, answer.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
      expect(shared().inspect().turns.running).toBe(1);
      expect((await answer.text()).match(/^event: .*$/gm)).toEqual([`event: ${last}`]);
      await first;
      // Asked for once more it is over, and a failure is a problem document with its status.
      expect((await fetch(http.url + path, init)).status).toBe(last === "result" ? 200 : 500);
    }
  });

  test("a key that is none is refused", async () => {
    const http = sharedApi();
    const path = `/v1/sessions/${await http.session()}/turns`;
    for (const key of ["x".repeat(256), '""', "\u00e4"]) {
      const problem = expectProblem(await http.post(path, { prompt: "x" }, { "idempotency-key": key }), 400, "INVALID_PARAMS");
      expect(problem.errors?.[0]?.field).toBe("Idempotency-Key");
    }
  });
});

describe("over a restart", () => {
  test("turns, creates, forks and contexts are answered as before, and done once", async () => {
    const path = folder();
    const open = async (): Promise<{ http: Api; stop: () => Promise<void> }> => {
      const service = await openPersistent({ store: { kind: "lmdb", path } });
      const http = await serve(service);
      return { http, stop: () => http.server.close().then(() => service.shutdown()) };
    };
    const before = await open();
    const created = await before.http.post("/v1/sessions", { prompt: "hello" }, KEY);
    const id = String(created.body["sessionId"]);
    const requests: [string, unknown][] = [
      [`/v1/sessions/${id}/turns`, { prompt: "a" }],
      [`/v1/sessions/${id}/fork`, { messages: 2 }],
      [`/v1/sessions/${id}/system-context`, { text: "be brief" }],
      ["/v1/sessions", { prompt: "hello" }],
    ];
    const answers: unknown[] = [];
    for (const [where, body] of requests) answers.push((await before.http.post(where, body, KEY)).body);
    await before.stop();
    const { http } = await open();
    for (const [i, [where, body]] of requests.entries()) {
      const again = await http.post(where, body, KEY);
      expect(again.body).toEqual(answers[i]);
      expect(isReplay(again)).toBe(true);
    }
    expect((await http.get<{ data: unknown[] }>("/v1/sessions")).body.data).toHaveLength(2);
    expect(await messagesOf(http, id)).toBe(4);
  });

  test("O4: what a tenant had made before the crash is found, though it may have no more sessions; an archived one is gone", async () => {
    const service = await openPersistent();
    const http = await serve(service, { auth: { keyFile: file, reloadMs: 60_000 }, quotas: { default: { sessions: 3 } } });
    const acme: Principal = { tenant: "acme", role: "run", key: "any" };
    const labels = { "warren.tenant": "acme" };
    const [made, deferred, forked, archived] = Array.from({ length: 4 }, (_, n) => `01a201b2-575e-723e-8900-98afbbb7942${n}`) as [
      string,
      string,
      string,
      string,
    ];
    const bodies: Record<string, object> = { made: { prompt: "hello" }, deferred: { initialTurn: "defer" }, forked: {} };
    bodies["archived"] = { prompt: "gone" };
    const pathOf = (key: string): string => (key === "forked" ? `/v1/sessions/${made}/fork` : "/v1/sessions");
    for (const [key, note] of Object.entries({ made, deferred, forked, archived })) {
      const bytes = encodeRecord({ state: "begun", fingerprint: digest(JSON.stringify(bodies[key])), note });
      await (service as ServableService).answers?.().put(recordKey(acme, "POST", pathOf(key), key), bytes, Date.now() + 60_000);
    }
    await service.createSession({
      prompt: "hello",
      sessionId: made,
      labels,
      idempotencyKey: recordKey(acme, "POST", "/v1/sessions", "made"),
    });
    await service.createSession({ prompt: "", initialTurn: "defer", sessionId: deferred, labels });
    await service.forkSession(made, { sessionId: forked });
    await service.createSession({ prompt: "", initialTurn: "defer", sessionId: archived, labels });
    await service.archive(archived);
    const bearer = { authorization: `Bearer ${keys.acme}` };
    const ask = (key: string) => http.post(pathOf(key), bodies[key], { ...bearer, "idempotency-key": key });
    expectProblem(await http.post("/v1/sessions", { initialTurn: "defer" }, bearer), 429, "QUOTA_EXCEEDED");
    expect(await ask("made")).toMatchObject({ status: 201, body: { sessionId: made, text: "hello" } });
    expect(await ask("deferred")).toMatchObject({ status: 201, body: { sessionId: deferred, turns: 0 } });
    expect(await ask("forked")).toMatchObject({ status: 201, body: { state: { sessionId: forked, messageCount: 2, labels: {} } } });
    expect((await ask("archived")).status).not.toBe(201);
    expect(await service.list()).toHaveLength(3);
    expectProblem(await http.post("/v1/sessions", { initialTurn: "defer" }, bearer), 429, "QUOTA_EXCEEDED");
  });

  test("O4: a create that a crash cut off is the same session, whether or not that was made, and its turn runs once", async () => {
    const service = await openPersistent();
    const http = await serve(service);
    const begun = async (key: string, body: object, note: string): Promise<void> => {
      const record = recordKey(LOCAL, "POST", "/v1/sessions", key);
      const bytes = encodeRecord({ state: "begun", fingerprint: digest(JSON.stringify(body)), note });
      await (service as ServableService).answers?.().put(record, bytes, Date.now() + 60_000);
    };
    const ids = ["01a201b2-575e-723e-8900-98afbbb79414", "01a201b2-575e-723e-8900-98afbbb79415", "01a201b2-575e-723e-8900-98afbbb79416"];
    const [made, deferred, notMade] = ids as [string, string, string];
    const body = { prompt: "hello" };
    await begun("made", body, made);
    await service.createSession({ ...body, sessionId: made, idempotencyKey: recordKey(LOCAL, "POST", "/v1/sessions", "made") });
    const later = { initialTurn: "defer" as const };
    await begun("deferred", later, deferred);
    await service.createSession({ ...later, prompt: "", sessionId: deferred });
    await begun("not made", body, notMade);
    const ask = (key: string, what: object) => http.post("/v1/sessions", what, { "idempotency-key": key });
    expect(await ask("made", body)).toMatchObject({ status: 201, body: { sessionId: made, text: "hello" } });
    expect(await ask("deferred", later)).toMatchObject({ status: 201, body: { sessionId: deferred, turns: 0 } });
    expect(await ask("not made", body)).toMatchObject({ status: 201, body: { sessionId: notMade, text: "hello" } });
    expect((await service.list()).map(({ sessionId, messageCount }) => [sessionId, messageCount])).toEqual([
      [made, 2],
      [deferred, 0],
      [notMade, 2],
    ]);
  });
});
