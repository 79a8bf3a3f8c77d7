/** The README's pictures of the dashboard. They are made when they are missing, or with WARREN_SCREENSHOTS=write; otherwise only looked at. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import type { Page } from "playwright-core";
import { expect, test } from "vitest";

import { builtinAgents } from "../../dist/src/index.js";
import { pages } from "../helpers/browser.ts";
import { sharedHost, sleep } from "../helpers/hosts.ts";
import { servers } from "../helpers/servers.ts";

const FOLDER = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const isWriting = (name: string): boolean => process.env["WARREN_SCREENSHOTS"] === "write" || !existsSync(`${FOLDER}${name}`);
/** Seconds of load that the charts show. */
const LOAD_S = 60;
const PRIMES = `for (let n = 2, found = 0; found < 12; n++) {
  let isPrime = true;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) isPrime = false;
  if (isPrime) console.log(++found + ". prime: " + n);
}
"twelve of them"`;

const host = sharedHost({ agent: builtinAgents.interpreter, interruptGraceMs: 10_000 });
const serve = servers();
const visit = pages();

const keep = async (page: Page, name: string): Promise<void> => {
  const picture = await page.screenshot({ animations: "disabled", caret: "hide" });
  expect(picture.length).toBeGreaterThan(10_000);
  if (!isWriting(name)) return;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(`${FOLDER}${name}`, picture);
};

/** @returns ids of sessions that have said something */
const population = async (): Promise<string[]> => {
  const topics = ["primes", "letters", "matrices", "ledger", "sudoku", "graphs", "dates", "words", "maps"];
  const ids: string[] = [];
  for (const [index, topic] of topics.entries()) {
    const labels = { user: ["ada", "grace", "alan"][index % 3] as string, topic };
    const { sessionId } = await host().createSession({ prompt: "let total = 0", labels });
    for (let i = 0; i < index % 4; i++) await host().startTurn(sessionId, { prompt: `total += ${i + 1}` });
    ids.push(sessionId);
  }
  return ids;
};

/** Turns of many lengths, as they come, for a while. */
const load = async (ids: readonly string[], seconds: number): Promise<void> => {
  const until = Date.now() + seconds * 1000;
  const run = async (id: string, nth: number): Promise<void> => {
    for (let turn = 0; Date.now() < until; turn++) {
      const wave = 1 + Math.sin(Date.now() / 6000);
      await host().startTurn(id, { prompt: `for (let i = 0; i < ${2000 * (1 + ((turn * 7 + nth) % 5))}; i++) total += i; total` });
      await sleep(30 + 60 * wave);
    }
  };
  await Promise.all(ids.map(run));
};

test("light: the host under load", { timeout: 120_000 }, async () => {
  const ids = await population();
  const { server } = await serve(host());
  const page = await visit(server.url, { colorScheme: "light" });
  await page.getByText("topic=maps").waitFor();
  const working = load(ids, isWriting("dashboard-light.png") ? LOAD_S : 2);
  if (isWriting("dashboard-light.png")) await sleep((LOAD_S - 1) * 1000);
  await keep(page, "dashboard-light.png");
  await working;
});

test("dark: a session's turn", async () => {
  const labels = { user: "ada", topic: "numbers" };
  const { sessionId } = await host().createSession({ prompt: "const greeting = 'Good morning'; greeting", labels });
  const { server } = await serve(host());
  const page = await visit(`${server.url}/#/sessions/${sessionId}`, { colorScheme: "dark" });
  await page.getByText("2 messages").waitFor();
  await page.getByLabel("Prompt").fill(PRIMES);
  await page.getByLabel("Prompt").press("Control+Enter");
  await page.getByText("12. prime: 37").waitFor();
  await page.getByText("4 messages").waitFor();
  await page.locator(".session-top .badge").getByText("idle").waitFor();
  await page.getByLabel("Prompt").fill('for (let i = 0; ; i++) if (i % 300_000 === 0) console.log("for ever:", i);');
  await page.getByLabel("Prompt").press("Control+Enter");
  await page.getByLabel("Output").getByText("for ever: 1200000").waitFor();
  await keep(page, "dashboard-dark.png");
  await page.getByRole("button", { name: "Interrupt" }).click();
  await page.getByText("interrupted").waitFor();
});
