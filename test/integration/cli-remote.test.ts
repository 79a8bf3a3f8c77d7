/** Commands against a server: sessions, chat, top, bench. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { openRemoteTarget } from "../../dist/src/cli/bench-targets.js";
import { WarrenClient } from "../../dist/src/client/index.js";
import type { Begun } from "../helpers/warren.ts";
import { settled, sleep, until } from "../helpers/hosts.ts";
import * as inProcess from "../helpers/warren.ts";

const KINDS = fileURLToPath(new URL("../fixtures/cli/turn-kinds.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "warren-cli-remote-"));
inProcess.workIn(folder);

let server: Begun;
let url: string;
beforeAll(async () => {
  const args = ["--agent", `kinds=${KINDS}`, "--agent", "echo=echo", "--store", "store", "--lanes", "1", "--log-level", "silent"];
  server = inProcess.begin(["serve", "--port", "0", "--json", ...args]);
  ({ url } = JSON.parse((await server.said(/.*\n/))[0]) as { url: string });
});
afterAll(async () => {
  server.signal("SIGTERM");
  expect((await server.ended).code).toBe(0);
  rmSync(folder, { recursive: true });
});

const warren = (args: readonly string[], input = "") => inProcess.warren(args, input, { WARREN_URL: url });
const sessions = (...args: string[]) => warren(["sessions", ...args]);
const lines = (...all: string[]): string => all.map((line) => `${line}\n`).join("");
const rowsOf = (out: string) =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Turns of one new session. @returns its id */
async function talked(agent: string, ...prompts: string[]): Promise<string> {
  const { out } = await warren(["chat", "--agent", agent, "--label", `made=${prompts[0]}`, "--json"], lines(...prompts));
  return rowsOf(out)[0]?.["sessionId"] as string;
}

describe("sessions", () => {
  test("list, show and history say what they say of a store, as tables and as JSON", async () => {
    const id = await talked("echo", "one", "two");
    const listed = await sessions("list", "--label", "made=one");
    expect(listed).toMatchObject({ code: 0, err: "" });
    expect(listed.out).toMatch(/│ id +│ created +│ updated +│ messages │ tokens │ labels +│/);
    expect(listed.out).toContain(id);
    expect(rowsOf((await sessions("list", "--label", "made=one", "--json")).out)).toMatchObject([
      { id, messageCount: 4, labels: { made: "one" }, isArchived: false },
    ]);
    expect((await sessions("show", id)).out).toMatch(/│ last text +│ two +│/);
    expect(rowsOf((await sessions("show", id, "--json")).out)).toMatchObject([
      { id, messageCount: 4, lastAssistantText: "two", usage: { inputTokens: 0, outputTokens: 0 } },
    ]);
    expect((await sessions("history", id, "--offset", "2")).out.trimEnd()).toBe("[2] user\ntwo\n\n[3] assistant\ntwo");
    expect(rowsOf((await sessions("history", id, "--offset", "1", "--limit", "2", "--json")).out)).toMatchObject([
      { index: 1, role: "assistant", content: "one" },
      { index: 2, role: "user", content: "two" },
    ]);
  });

  test("list: pages", async () => {
    for (let n = 0; n < 3; n++) await talked("echo", "page");
    const all = rowsOf((await sessions("list", "--json", "--label", "made=page")).out);
    const first = await sessions("list", "--json", "--label", "made=page", "--limit", "2");
    expect([rowsOf(first.out), first.err]).toEqual([all.slice(0, 2), `there are more: --after ${String(all[1]?.["id"])}\n`]);
    expect(rowsOf((await sessions("list", "--json", "--label", "made=page", "--after", String(all[1]?.["id"]))).out)).toEqual(all.slice(2));
  });

  test("fork, archive, purge; what is not there is told, exit code 1", async () => {
    const id = await talked("echo", "fork me", "again");
    const forked = await sessions("fork", id, "--messages", "2", "--label", "made=fork");
    expect(forked.code).toBe(0);
    const copy = forked.out.trimEnd();
    expect(rowsOf((await sessions("show", copy, "--json")).out)).toMatchObject([{ messageCount: 2, labels: { made: "fork" } }]);
    expect(await sessions("archive", id, "nobody")).toMatchObject({
      code: 1,
      out: `archived ${id}\n`,
      err: "error: nobody: session not found: nobody\n",
    });
    expect(rowsOf((await sessions("purge", id, copy, "--json")).out)).toEqual([
      { id, outcome: "purged" },
      { id: copy, outcome: "purged" },
    ]);
    expect(await sessions("show", copy)).toMatchObject({ code: 1, out: "", err: expect.stringContaining("not found") });
  });

  test("interrupt, and events as they come until the session is out of service", async () => {
    const chat = inProcess.begin(["chat", "--url", url, "--agent", "kinds", "--json"]);
    chat.stdin.write(lines("labels"));
    const { sessionId } = JSON.parse((await chat.said(/.*\n/))[0]) as { sessionId: string };
    const events = inProcess.begin(["sessions", "events", sessionId, "--url", url, "--after", "0"]);
    await events.said(/^1 text_delta \{"delta":"turn "\}\n2 text_delta \{"delta":"1"\}\n/);
    chat.stdin.write(lines("wait"));
    await events.said(/3 text_delta .*\n4 text_delta .*\n/);
    expect(await sessions("interrupt", sessionId)).toMatchObject({ code: 0, out: `interrupted ${sessionId}\n` });
    expect(JSON.parse((await chat.said(/.*\n/))[0])).toMatchObject({ ok: false, error: { code: "AGENT_ERROR", kind: "cancelled" } });
    chat.stdin.end();
    expect((await chat.ended).code).toBe(1);
    expect(await sessions("interrupt", sessionId)).toMatchObject({ code: 1, out: "", err: expect.stringContaining("no turn running") });
    expect((await sessions("archive", sessionId)).code).toBe(0);
    expect((await events.ended).code).toBe(0);
    const late = inProcess.begin(["sessions", "events", await talked("echo", "x"), "--url", url, "--after", "0", "--json"]);
    await late.said(/"delta":"x"/);
    late.signal("SIGINT");
    expect((await late.ended).code).toBe(0);
  });

  test.each<[string, string[], RegExp]>([
    ["neither store nor server", ["sessions", "list"], /^error: option '--store <dir>' or '--url <url>' is needed/],
    ["both", ["sessions", "list", "--store", "store", "--url", "http://x"], /^error: option '--url <url>' does not go with/],
    ["no address", ["sessions", "list", "--url", "nowhere"], /^error: option '--url <url>': must be an http or https URL/],
    ["nobody there", ["sessions", "list", "--url", "http://127.0.0.1:1"], /^error: option '--url <url>', or WARREN_URL: /],
    ["nobody to talk to", ["chat", "--url", "http://127.0.0.1:1"], /^error: option '--url <url>', or WARREN_URL: /],
    ["nobody to watch", ["top", "--once", "--url", "http://127.0.0.1:1"], /^error: option '--url <url>', or WARREN_URL: /],
    ["nobody to measure", ["bench", "--url", "http://127.0.0.1:1"], /^error: option '--url <url>', or WARREN_URL: /],
  ])("called wrongly: %s; a message, exit code 2", async (_, args, message) => {
    expect(await inProcess.warren(args)).toMatchObject({ code: 2, out: "", err: expect.stringMatching(message) });
  });

  test("what only a store can tell is refused", async () => {
    for (const option of [["--archived"], ["--order", "updated"]])
      expect(await sessions("list", ...option)).toMatchObject({ code: 2, err: expect.stringContaining("goes with --store") });
  });
});

describe("chat", () => {
  test("streams a turn of the server's, and goes on with a session", async () => {
    const id = await talked("kinds", "labels");
    expect(await warren(["chat", "--session", id], lines("hello", "/history 1", "/quit"))).toMatchObject({
      code: 0,
      out: "turn 2\nhello\nassistant: hello\n",
      err: "",
    });
    expect(await warren(["chat", "--session", "nobody"])).toMatchObject({ code: 2, err: expect.stringContaining("not found") });
  });

  test("Ctrl-C at a prompt interrupts the turn on the server", async () => {
    const chat = inProcess.begin(["chat", "--url", url, "--agent", "kinds"], { isTerminal: true });
    await chat.said(/> /);
    chat.stdin.write("wait\r");
    await chat.said(/turn 1/);
    chat.stdin.write("\u0003");
    await chat.said(/\(interrupted\)\n/);
    chat.stdin.write("hello\r");
    await chat.said(/turn 2\nhello\n/);
    chat.stdin.write("\u0004");
    expect((await chat.ended).code).toBe(0);
  });

  test.each(["enqueue", "merge"])("K2: %s: one's own turn leaves the line, and somebody else's runs on", async (onBusy) => {
    const client = new WarrenClient({ url });
    const id = await talked("kinds", "labels");
    const chat = inProcess.begin(["chat", "--url", url, "--session", id, "--on-busy", onBusy], { isTerminal: true });
    await chat.said(/> /);
    const theirs = client.streamTurn(id, { prompt: "wait" });
    const ticket = await theirs.ticket;
    const waiting = (turns: number) => until(`${turns} wait`, async () => (await client.host()).turns.waiting === turns);
    chat.stdin.write("mine\r");
    await waiting(1);
    chat.stdin.write("\u0003");
    await chat.said(/\(interrupted\)\n/);
    await waiting(0);
    chat.stdin.write("mine\r");
    await waiting(1);
    chat.signal("SIGTERM");
    expect((await settled(chat.ended)).code).toBe(143);
    await waiting(0);
    await client.interrupt(id, { ticket }); // it runs
    await theirs.result.catch(() => {});
    expect((await client.history(id)).messageCount).toBe(2);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s leaves also while the server waits for somebody else's turn before it answers", async (signal, code) => {
    const client = new WarrenClient({ url });
    const id = await talked("kinds", "labels");
    const chat = inProcess.begin(["chat", "--url", url, "--session", id]);
    chat.stdin.write(lines("hello"));
    await chat.said(/hello\n/);
    const theirs = client.streamTurn(id, { prompt: "wait" });
    await theirs.ticket;
    chat.stdin.write(lines("/history"));
    await sleep(50);
    chat.signal(signal);
    expect(await settled(chat.ended)).toMatchObject({ code, err: "" });
    await theirs.interrupt();
    await theirs.result.catch(() => {});
  });
});

describe("top", () => {
  test("--once: one look, as text and as JSON", async () => {
    const { code, out } = await warren(["top", "--once", "--interval-ms", "10"]);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^${url} {2}open, ok\n`));
    expect(out).toMatch(/^0 {4}shared +[█·]{20} +\d+ %/m);
    const once = await warren(["top", "--once", "--json", "--interval-ms", "10"]);
    expect(JSON.parse(once.out)).toMatchObject({ state: "open", turnsPerS: expect.any(Number), lanes: [{ lane: 0, kind: "shared" }] });
  });

  test("on a terminal: pictures in place until Ctrl-C, and the terminal is as it was", async () => {
    const top = inProcess.begin(["top", "--url", url, "--interval-ms", "10"], { isTerminal: true });
    for (let looks = 0; looks < 3; looks++) await top.said(/Ctrl-C leaves/);
    top.signal("SIGINT");
    const { code, out } = await top.ended;
    expect(code).toBe(0);
    expect(out.startsWith("\u001b[?1049h\u001b[?25l")).toBe(true);
    expect(out.endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
  });
});

describe("bench", () => {
  test("over a server: every turn succeeds, and its sessions are out of service at the end", async () => {
    const { code, out } = await warren(["bench", "--agent", "echo", "--seconds", "1", "--in-flight", "4", "--json"]);
    expect([code, JSON.parse(out)]).toMatchObject([0, { target: url, lanes: 1, lone: { failed: 0 }, many: { failed: 0 }, inFlight: 4 }]);
    expect((await sessions("list", "--json", "--label", "bench.made-by=warren bench")).out).toBe("");
  });

  test("over a server: a turn is one request and its answer, without a stream", async () => {
    const accepted: (string | null)[] = [];
    const client = new WarrenClient({
      url,
      fetch: (to, init) => {
        if ((to as URL).pathname.endsWith("/turns")) accepted.push(new Headers(init?.headers).get("accept"));
        return fetch(to, init);
      },
    });
    const target = await openRemoteTarget(client, url, "echo", 1, "x", new AbortController().signal);
    await target.turn(0);
    await target.close();
    expect(accepted).toEqual(["application/json"]);
  });

  test("here; a turn that fails is counted, exit code 1", async () => {
    const good = await inProcess.warren(["bench", "--seconds", "1", "--in-flight", "8", "--lanes", "1"]);
    expect(good.code).toBe(0);
    expect(good.out).toMatch(/^a host in this process, agent echo, 1 lanes; Node /);
    expect(good.out).toMatch(/^8 at a time +\d+ turns\/s {3}p50 [\d.]+ ms {3}p99 [\d.]+ ms$/m);
    const bad = await inProcess.warren([
      "bench",
      "--seconds",
      "1",
      "--in-flight",
      "2",
      "--lanes",
      "1",
      "--agent",
      KINDS,
      "--prompt",
      "throw",
    ]);
    expect([bad.code, bad.out]).toEqual([1, expect.stringMatching(/\d+ failed$/m)]);
  });

  test.each(["here", "over a server"])("%s: a second signal ends it while a turn hangs, exit code 130", async (where) => {
    const env = where === "here" ? {} : { WARREN_URL: url };
    const agent = where === "here" ? KINDS : "kinds";
    const bench = inProcess.begin(["bench", "--agent", agent, "--prompt", "wait", "--seconds", "1", "--in-flight", "2"], { env });
    await sleep(1500); // the first turn runs
    bench.signal("SIGINT");
    await sleep(200);
    bench.signal("SIGINT");
    expect(await settled(bench.ended)).toMatchObject({ code: 130, out: "" });
    expect((await sessions("list", "--json", "--label", "bench.made-by=warren bench")).out).toBe("");
    await until("no turn runs", async () => (await new WarrenClient({ url }).host()).turns.running === 0);
  });
});
