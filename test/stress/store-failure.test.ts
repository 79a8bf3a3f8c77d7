/** A store that fails at the n-th write, for every n of a run: the one caller is told, nothing is half there, and sessions go on. */
import { expect, test } from "vitest";

import type { PersistentSessionService, SessionError } from "../../dist/src/index.js";
import { script, settled, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const { open, counting } = persistentHosts();
const SESSIONS = 3;
/** Of the first two sessions a checkpoint is part of the second turn. */
const PROMPTS = ["1", "checkpoint", "3"];
/** Runs without a failure after which the run has no further write. */
const UNHARMED = 3;
/** Writes that a run has at least: fewer, and it does not do what it should. */
const WRITES_MIN = 30;

const ASIDE = { role: "user", content: "aside" };
const promptOf = (prompt: string): string =>
  prompt === "checkpoint" ? script(["append", ASIDE], ["checkpoint"], ["say", prompt]) : prompt;
/** What a turn leaves, and what a turn that saved its checkpoint and not itself does. */
const wholeOf = (prompt: string): string[] => (prompt === "checkpoint" ? [promptOf(prompt), "aside", prompt] : echoed(prompt));
const partOf = (prompt: string): string[] => (prompt === "checkpoint" ? [promptOf(prompt), "aside"] : []);

/** What callers were told in one run. */
class Run {
  readonly failures: string[] = [];
  /** By session: its turns, and whether each was acknowledged. */
  readonly turns = new Map<string, [prompt: string, isAcknowledged: boolean][]>();

  async attempt<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await settled(call());
    } catch (error) {
      this.failures.push((error as SessionError).code);
      return undefined;
    }
  }

  async go(service: PersistentSessionService): Promise<void> {
    for (let i = 0; i < SESSIONS; i++) {
      const made = await this.attempt(() => service.createSession({ prompt: "", initialTurn: "defer", systemPrompt: "system" }));
      if (made !== undefined) this.turns.set(made.sessionId, []);
    }
    for (const prompt of PROMPTS) {
      for (const [id, turns] of this.turns) {
        // With room for two, each session has been put to sleep when its turn comes.
        const done = await this.attempt(() => service.startTurn(id, { prompt: promptOf(prompt) }));
        turns.push([prompt, done !== undefined]);
        await this.attempt(() => service.appendSystemContext(id, { text: `context ${prompt}` }));
        if (prompt !== "3") await this.attempt(() => service.hibernate(id));
      }
    }
  }
}

/** Does the transcript have every acknowledged turn whole, once and in order, and of the others nothing that `mayBe` does not allow? */
function expectTurns(
  messages: string[],
  turns: Run["turns"] extends Map<string, infer T> ? T : never,
  isDone: boolean,
  where: string,
): void {
  let rest = messages;
  for (const [prompt, isAcknowledged] of turns) {
    const forms = isAcknowledged ? [wholeOf(prompt)] : isDone ? [wholeOf(prompt), partOf(prompt), []] : [partOf(prompt), []];
    const found = forms.find((form) => form.every((content, at) => rest[at] === content));
    expect(found, `${where}: ${prompt} in ${JSON.stringify(messages)}`).toBeDefined();
    rest = rest.slice(found?.length);
  }
  expect(rest, `${where}`).toEqual([]);
}

test.each([
  ["before it is done", "failAt"],
  ["after it is done", "failAfterAt"],
] as const)("D3: whichever write fails %s, its caller alone is told, and what was acknowledged stands", async (_when, order) => {
  const { store, order: tell } = counting();
  const service = await open({ store, events: "log", maxSessions: 2 });
  let failAt = 0;
  for (let unharmed = 0; unharmed < UNHARMED;) {
    tell({ [order]: ++failAt });
    const run = new Run();
    await run.go(service);
    const where = `write ${failAt}`;
    // None, when the session that could not be saved fell asleep for another's sake, or a checkpoint failed, which is the log's to tell.
    expect(
      run.failures.filter((code) => code !== "SESSION_STORE_ERROR"),
      `${where}`,
    ).toEqual([]);
    expect(run.failures.length, `${where}`).toBeLessThanOrEqual(1);
    tell({});
    for (const [id, turns] of run.turns) {
      expect((await settled(service.startTurn(id, { prompt: "again" }))).text).toBe("again");
      const messages = contents((await service.exportSession(id)).messages);
      expectTurns(messages, [...turns, ["again", true]], order === "failAfterAt", where);
    }
    // One that was made and whose caller was not told so is there, empty.
    for (const { sessionId, messageCount } of await service.list()) {
      if (!run.turns.has(sessionId)) expect([order, messageCount], `${where}`).toEqual(["failAfterAt", 1]);
      await service.archive(sessionId);
    }
    await until("nothing is left", () => service.inspect().slots.allocated === 0);
    expect(await service.list()).toEqual([]);
    unharmed = run.failures.length === 0 ? unharmed + 1 : 0;
  }
  expect(failAt).toBeGreaterThan(WRITES_MIN);
});
