/** `warren serve`: settings in effect, the addresses it prints, what it says when it cannot begin, and how it stops. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, describe, expect, test } from "vitest";

import type { Begun } from "../helpers/warren.ts";
import { begin, warren, workIn } from "../helpers/warren.ts";

const KINDS = fileURLToPath(new URL("../fixtures/cli/turn-kinds.mjs", import.meta.url));
const NOT_AN_AGENT = fileURLToPath(new URL("../fixtures/cli/not-an-agent.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "warren-cli-serve-"));
workIn(folder);
afterAll(() => rmSync(folder, { recursive: true }));

interface Served {
  readonly server: Begun;
  readonly url: string;
  readonly post: (path: string, body: object) => Promise<Response>;
}
async function serve(...args: string[]): Promise<Served> {
  const server = begin(["serve", "--port", "0", "--lanes", "1", "--log-level", "error", "--json", ...args]);
  const [line] = await server.said(/.*\n/);
  const { url } = JSON.parse(line) as { url: string };
  const headers = { "content-type": "application/json" };
  return { server, url, post: (path, body) => fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) }) };
}

describe("serving", () => {
  test("prints where, and stops in good order on a signal: exit code 0", async () => {
    const server = begin(["serve", "--port", "0", "--lanes", "1"]);
    const [, url] = await server.said(/dashboard {2}(http:\/\/127\.0\.0\.1:\d+)\/\n/);
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: "ok" });
    server.signal("SIGTERM");
    const { code, out, err } = await server.ended;
    expect([code, err.split("\n").filter((line) => line !== "" && !line.includes('"event"'))]).toEqual([0, []]);
    expect(out).toMatch(/^warren \d+\.\d+\.\d+ serves interpreter\n/);
    await expect(fetch(`${url}/readyz`)).rejects.toThrow("fetch failed");
  });

  test("settings of file, environment and flags reach the host", async () => {
    writeFileSync("warren.config.json", JSON.stringify({ maxSessions: 7, lanes: 1, port: 0, agent: ["a=echo", "b=interpreter"] }));
    const env = { WARREN_MAX_SESSIONS: "8", WARREN_LOG_LEVEL: "silent" };
    const server = begin(["serve", "--json", "--max-prompt-bytes", "10"], { env });
    const [line] = await server.said(/.*\n/);
    rmSync("warren.config.json");
    const { url } = JSON.parse(line) as { url: string };
    expect(await (await fetch(`${url}/v1/host`)).json()).toMatchObject({ sessions: { max: 8 }, lanes: [{ lane: 0 }] });
    const ask = async (body: object) => {
      const response = await fetch(`${url}/v1/sessions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await response.json()) as object;
    };
    expect(await ask({ prompt: "1 + 1", agent: "b" })).toMatchObject({ text: "2" });
    expect(await ask({ prompt: "1 + 1", agent: "a" })).toMatchObject({ text: "1 + 1" });
    expect(await ask({ prompt: "more than ten bytes", agent: "a" })).toMatchObject({ code: "INVALID_PARAMS" });
    server.signal("SIGINT");
    expect((await server.ended).code).toBe(0);
  });

  test("with a store sessions are there the next time, and their events", async () => {
    const first = await serve("--store", "store", "--agent", "echo");
    const { sessionId } = (await (await first.post("/v1/sessions", { prompt: "remember" })).json()) as { sessionId: string };
    first.server.signal("SIGTERM");
    expect((await first.server.ended).code).toBe(0);
    const second = await serve("--store", "store", "--agent", "echo");
    const history = await (await fetch(`${second.url}/v1/sessions/${sessionId}/history`)).json();
    expect(history).toMatchObject({ messageCount: 2, messages: [{ content: "remember" }, { content: "remember" }] });
    const abort = new AbortController();
    const events = await fetch(`${second.url}/v1/sessions/${sessionId}/events?after=0`, { signal: abort.signal });
    let said = "";
    for await (const piece of events.body as unknown as AsyncIterable<Uint8Array>) {
      said += Buffer.from(piece).toString();
      if (said.includes("remember")) break;
    }
    abort.abort();
    second.server.signal("SIGTERM");
    expect((await second.server.ended).code).toBe(0);
  });
});

describe("stopping", () => {
  test("a running turn finishes and is answered; new connections are refused", async () => {
    const { server, url, post } = await serve("--agent", KINDS);
    const turn = post("/v1/sessions", { prompt: "until go" });
    await expect
      .poll(async () => ((await (await fetch(`${url}/v1/host`)).json()) as { turns: object }).turns)
      .toMatchObject({ running: 1 });
    server.signal("SIGTERM");
    await expect
      .poll(() =>
        fetch(url).then(
          () => "answers",
          () => "refused",
        ),
      )
      .toBe("refused");
    writeFileSync("go", "");
    expect(await (await turn).json()).toMatchObject({ text: "until go" });
    expect((await server.ended).code).toBe(0);
  });

  test("a second signal interrupts what runs: its caller is told, exit code 130", async () => {
    const { server, url, post } = await serve("--agent", KINDS, "--drain-ms", "600000");
    const turn = post("/v1/sessions", { prompt: "wait" });
    await expect
      .poll(async () => ((await (await fetch(`${url}/v1/host`)).json()) as { turns: object }).turns)
      .toMatchObject({ running: 1 });
    server.signal("SIGINT");
    await expect
      .poll(() =>
        fetch(url).then(
          () => "answers",
          () => "refused",
        ),
      )
      .toBe("refused");
    await new Promise((resolve) => setTimeout(resolve, 150)); // sooner it is an echo of the first
    server.signal("SIGINT");
    expect(await (await turn).json()).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "cancelled" } });
    expect((await server.ended).code).toBe(130);
  });

  test("what still runs after drainMs is interrupted", async () => {
    const { server, url, post } = await serve("--agent", KINDS, "--drain-ms", "50");
    const turn = post("/v1/sessions", { prompt: "wait" });
    await expect
      .poll(async () => ((await (await fetch(`${url}/v1/host`)).json()) as { turns: object }).turns)
      .toMatchObject({ running: 1 });
    server.signal("SIGTERM");
    expect(await (await turn).json()).toMatchObject({ code: "AGENT_ERROR" });
    expect((await server.ended).code).toBe(0);
  });
});

test("--keys: who has none is refused, commands take theirs from WARREN_KEY; quotas hold", async () => {
  const made = await warren(["keys", "create", "--file", "keys.json", "--role", "admin", "--json"]);
  const { key } = JSON.parse(made.out) as { key: string };
  const { server, url } = await serve("--agent", "echo", "--keys", "keys.json", "--quotas", '{"default":{"sessions":1000}}');
  const refused = await warren(["sessions", "list", "--url", url]);
  expect(refused).toMatchObject({ code: 2, out: "", err: expect.stringMatching(/^error: option '--key <key>', or WARREN_KEY: /) });
  const env = { WARREN_URL: url, WARREN_KEY: key };
  expect(await warren(["chat"], "hello\n", env)).toMatchObject({ code: 0, out: "hello\n" });
  expect((await warren(["top", "--once", "--interval-ms", "10"], "", env)).code).toBe(0);
  expect((await warren(["sessions", "list", "--json", "--key", key], "", { WARREN_URL: url })).code).toBe(0);
  server.signal("SIGTERM");
  expect((await server.ended).code).toBe(0);
});

describe("called wrongly: a message that names where the value is from, exit code 2", () => {
  test("a port that is taken", async () => {
    const { server, url } = await serve();
    const port = new URL(url).port;
    expect(await warren(["serve", "--lanes", "1", "--log-level", "silent"], "", { WARREN_PORT: port })).toEqual({
      code: 2,
      out: "",
      err: `error: environment variable WARREN_PORT: cannot listen on 127.0.0.1:${port}: another program listens there (0 takes any free one)\n`,
    });
    server.signal("SIGINT");
    await server.ended;
  });

  test.each<[string, string[], RegExp]>([
    ["a number that is none", ["--port", "x"], /^error: option '--port <n>': must be a whole number/],
    ["a file that is not there", ["--config", "missing.json"], /^error: cannot read the configuration missing\.json/],
    ["an agent that is none", ["--agent", NOT_AN_AGENT], /does not load from file:.*defineAgent/],
    ["an address that others reach, without keys", ["--host", "0.0.0.0"], /^error: option '--host <address>': /],
    ["a file of keys that is not there", ["--keys", "no-keys.json"], /^error: option '--keys <file>': .*no-keys\.json/],
    [
      "a file of issuer's keys that holds none",
      ["--jwks", KINDS, "--jwt-issuer", "x", "--jwt-audience", "y"],
      /^error: option '--jwks <where>': .* holds no JWK Set/,
    ],
    ["tokens without an audience", ["--jwks", "keys.jwks", "--jwt-issuer", "x"], /^error: jwks needs jwtAudience/],
    ["quotas that are none", ["--quotas", '{"default":{"turns":1}}'], /^error: option '--quotas <json>': default/],
  ])("%s", async (_, args, message) => {
    const { code, out, err } = await warren(["serve", "--lanes", "1", "--log-level", "silent", "--port", "0", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
  });
});

test("--print-config: what is in effect and where from, and nothing is begun", async () => {
  const args = ["serve", "--print-config", "--port", "1234"];
  const { code, out } = await warren([...args, "--json"], "", { WARREN_HOST: "::1" });
  expect([code, JSON.parse(out)]).toMatchObject([
    0,
    {
      port: { value: 1234, origin: "option '--port <n>'" },
      host: { value: "::1", origin: "environment variable WARREN_HOST" },
      store: { value: null, origin: "default" },
    },
  ]);
  expect((await warren(args)).out).toMatch(/^port +1234 +option '--port <n>'$/m);
});
