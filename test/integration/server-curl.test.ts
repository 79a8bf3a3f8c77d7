/** The API by hand, with curl: what the first minutes of most who try it look like. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { script, sharedHost } from "../helpers/hosts.ts";
import { sharedServer } from "../helpers/servers.ts";

const shared = sharedHost();
const api = sharedServer(shared);
const run = promisify(execFile);

/** @returns what curl prints: the answer's body, a line break, and its status */
async function curl(path: string, ...options: string[]): Promise<{ body: string; status: number }> {
  const { stdout } = await run("curl", [
    "--silent",
    "--show-error",
    "--max-time",
    "20",
    "--write-out",
    "\n%{http_code}",
    ...options,
    api().url + path,
  ]);
  const end = stdout.lastIndexOf("\n");
  return { body: stdout.slice(0, end), status: Number(stdout.slice(end + 1)) };
}

const json = (body: object): string[] => ["--header", "content-type: application/json", "--data", JSON.stringify(body)];

test("create, run a turn, follow one, look at it, interrupt nothing, take it out of service", async () => {
  const created = await curl("/v1/sessions", ...json({ prompt: "hello" }));
  expect(created.status).toBe(201);
  const { sessionId, text } = JSON.parse(created.body) as { sessionId: string; text: string };
  expect(text).toBe("hello");
  const path = `/v1/sessions/${sessionId}`;
  const followed = await curl(
    `${path}/turns`,
    "--no-buffer",
    "--header",
    "accept: text/event-stream",
    ...json({ prompt: script(["emit", 2]) }),
  );
  expect(followed.body.match(/^(event|id): .*$/gm)).toEqual(["event: admitted", "id: 1", "id: 2", "event: result"]);
  expect(JSON.parse((await curl(path)).body)).toMatchObject({ state: { messageCount: 4 } });
  const refused = await curl(`${path}/interrupt`, "--request", "POST");
  expect([refused.status, (JSON.parse(refused.body) as { code: string }).code]).toEqual([409, "SESSION_NOT_RUNNING"]);
  expect((await curl(path, "--request", "DELETE")).status).toBe(204);
  expect((await curl(`${path}/turns`, ...json({ prompt: "x" }))).status).toBe(404);
});

test("events are followed from the first one on, until the session ends", async () => {
  const created = await curl("/v1/sessions", ...json({ initialTurn: "defer" }));
  const { sessionId } = JSON.parse(created.body) as { sessionId: string };
  const events = curl(`/v1/sessions/${sessionId}/events`, "--no-buffer", "--header", "last-event-id: 0");
  await expect.poll(() => shared().inspect().subscribers).toBeGreaterThan(0);
  await curl(`/v1/sessions/${sessionId}/turns`, ...json({ prompt: script(["emit", 3]) }));
  await curl(`/v1/sessions/${sessionId}`, "--request", "DELETE");
  expect((await events).body.match(/^(event|id): .*$/gm)).toEqual(["id: 1", "id: 2", "id: 3", "event: end"]);
});
