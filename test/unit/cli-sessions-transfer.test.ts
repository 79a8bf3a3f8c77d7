/** What `warren sessions export` writes and `import` reads: nothing a store keeps of a session is lost on the way, its events aside. */
import { Readable, Writable } from "node:stream";

import { describe, expect, test } from "vitest";

import { ResultWriter } from "../../src/cli/result-writer.ts";
import { parseSessionRecord, readSession } from "../../src/cli/session-record.ts";
import type { SessionsCommand } from "../../src/cli/sessions-store.ts";
import { exportSessions, importSessions } from "../../src/cli/sessions-transfer.ts";
import { StoreError } from "../../src/protocol/store-error.ts";
import { logUpTo, newSession, stateOf } from "../../src/store/conformance/samples.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { SessionStore } from "../../src/store/session-store.ts";

function harness(store: SessionStore): { command: SessionsCommand; out: () => string; told: string[] } {
  const told: string[] = [];
  let out = "";
  const collect = (take: (text: string) => void): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        take(chunk.toString());
        done();
      },
    });
  const stdout = collect((text) => (out += text));
  const io = { stdin: Readable.from([]), stdout, stderr: collect((text) => told.push(text)), signals: process, env: {} };
  const complain = (problem: string): void => void told.push(`error: ${problem}\n`);
  return { command: { store, path: "store", io, out: new ResultWriter(stdout, () => {}), complain }, out: () => out, told };
}

async function exported(store: SessionStore): Promise<string> {
  const { command, out } = harness(store);
  await exportSessions(command, undefined, {});
  return out();
}

async function imported(store: SessionStore, text: string, replace = false): Promise<string[]> {
  const { command, told } = harness(store);
  await importSessions(
    command,
    { name: "in", chunks: Readable.from([Buffer.from(text)]), sizeBytes: undefined, stats: undefined },
    { replace },
  );
  return told;
}

/** A session of which every member is set. */
async function layWhole(store: SessionStore, id: string): Promise<void> {
  const result = {
    text: "done",
    turns: 2,
    toolCalls: 1,
    usage: { inputTokens: 1, outputTokens: 2, cacheCreationTokens: 3, cacheReadTokens: 4 },
    structuredOutput: { list: [1, null, "\u2028"] },
    schemaWarnings: ["w"],
    skillDiagnostics: { a: 1 },
  };
  await store.create(
    newSession(id, {
      labels: { team: "red", constructor: "x", empty: "" },
      request: {
        prompt: "",
        agent: "agent",
        model: "m",
        systemPrompt: "s",
        maxTokens: 7,
        initialTurn: "defer",
        hostMode: true,
        isolation: "dedicated",
        resourceLimits: { maxOldGenerationSizeMb: 64, stackSizeMb: 8 },
        labels: { team: "red" },
        skillReferences: [{ sourceUuid: "u", skillName: "a-b" }],
        build: { option: [1, { two: 2 }] },
      },
      state: stateOf(4, { system: "you are \u001b[31m a rabbit", lastTurn: { ticket: 3_676_729_056_081_924, result, key: "k" } }),
      messages: [
        ...logUpTo(5),
        { role: "system", content: "later" },
        {
          role: "block_assistant",
          blocks: [
            { blockType: "reasoning", data: { text: "hm", meta: [true] } },
            { blockType: "tool_use", data: { id: "1", name: "look", args: null, meta: {} } },
          ],
          stopReason: "tool_use",
        },
      ],
    }),
  );
  await store.putContext(id, {
    staged: 6,
    pending: [{ text: "t", source: "s", idempotencyKey: "k", acceptedAt: 5 }, { text: "u" }],
    seen: { k: { text: "t", source: "s", state: "pending" }, old: { text: "o", state: "applied" } },
  });
}

const rows = (text: string): unknown[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

describe("export and import", () => {
  test("keep every member of a session, and its staged context", async () => {
    const from = new MemoryStore();
    await layWhole(from, "whole – \u{1f407}");
    await from.create(newSession("least", { labels: {}, state: stateOf(0), messages: [] }));
    await layWhole(from, "archived");
    await from.archive("archived", undefined);
    const text = await exported(from);
    const to = new MemoryStore();
    expect(await imported(to, text)).toEqual(["imported 3 sessions, replaced 0, refused 0 lines\n"]);
    expect(rows(await exported(to))).toEqual(rows(text));
    for (const id of ["whole – \u{1f407}", "least", "archived"]) {
      const head = await from.head(id);
      expect(await to.head(id)).toEqual({ ...head, epoch: 1, version: 1 });
      expect(await to.messages(id, 0, undefined)).toEqual(await from.messages(id, 0, undefined));
      expect(await to.context(id)).toEqual(await from.context(id));
    }
    expect(await to.list({ labels: { constructor: "x" } })).toHaveLength(1);
    expect(await imported(to, text, true)).toEqual(["imported 0 sessions, replaced 3, refused 0 lines\n"]);
    expect(rows(await exported(to))).toEqual(rows(text));
  });

  test("a session that is written while it is read is read again", async () => {
    const store = new MemoryStore();
    await store.create(newSession("a"));
    let writes = 0;
    const messages = store.messages.bind(store);
    store.messages = async (id, offset, limit) => {
      const read = await messages(id, offset, limit);
      if (writes++ < 3) await store.rewrite({ id, epoch: 1, version: writes, state: stateOf(writes), messages: logUpTo(writes) });
      return read;
    };
    expect(await readSession(store, "a")).toMatchObject({ updatedAt: stateOf(3).updatedAt, messages: logUpTo(3) });
  });

  test("of a file that was cut off, every whole line is imported, and the last one is named", async () => {
    const from = new MemoryStore();
    for (const id of ["a", "b", "c"]) await from.create(newSession(id));
    const text = await exported(from);
    const to = new MemoryStore();
    expect(await imported(to, text.slice(0, -40))).toEqual([
      expect.stringMatching(/^error: line 3: is not JSON: /),
      "imported 2 sessions, replaced 0, refused 1 line\n",
    ]);
    expect(await imported(to, text)).toEqual([
      expect.stringMatching(/^error: line 1: session a is stored already/),
      expect.stringMatching(/^error: line 2: session b is stored already/),
      "imported 1 session, replaced 0, refused 2 lines\n",
    ]);
    expect(await exported(to)).toBe(text);
  });

  test("a store that fails ends the import; what a line says twice is laid in order", async () => {
    const from = new MemoryStore();
    for (const id of ["a", "b"]) await from.create(newSession(id));
    const text = await exported(from);
    const to = new MemoryStore();
    expect(await imported(to, text + text, true)).toEqual(["imported 2 sessions, replaced 2, refused 0 lines\n"]);
    const full = new MemoryStore();
    full.create = () => Promise.reject(new StoreError("full", "no room"));
    await expect(imported(full, text)).rejects.toThrow("no room");
  });
});

describe("a line that holds no session: what is wrong, the field first", () => {
  const good = async (): Promise<Record<string, unknown>> => {
    const store = new MemoryStore();
    await layWhole(store, "a");
    return (await readSession(store, "a")) as Record<string, unknown>;
  };

  test.each([
    ["another format", { format: "warren-session/2" }, 'format: must be "warren-session/1"'],
    ["no id", { id: "" }, /^id: /],
    ["no time", { updatedAt: -1 }, /^updatedAt: /],
    ["a message of nobody's", { messages: [{ role: "user", content: "x" }, { role: "nobody" }] }, /^messages\.1\.role: /],
    ["a message without content", { messages: [{ role: "user" }] }, /^messages\.0\.content: /],
    [
      "a leading system message that is no member",
      { system: undefined, messages: [{ role: "system", content: "x" }] },
      /^messages\.0\.role: /,
    ],
    ["a member nobody knows", { epoch: 1 }, /^epoch: /],
    ["a label that is no text", { labels: { k: 1 } }, /^labels\.k: /],
    ["a result without text", { lastTurn: { ticket: 1, result: {} } }, /^lastTurn\.result\.text: /],
    ["staged context without text", { context: { staged: 1, pending: [{}], seen: {} } }, /^context\.pending\.0\.text: /],
  ])("%s", async (_, wrong, problem) => {
    expect(parseSessionRecord(JSON.stringify({ ...(await good()), ...wrong }))).toEqual({ problem: expect.stringMatching(problem) });
  });
});
