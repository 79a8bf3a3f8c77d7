/** The dashboard in a browser: what people do with it. */
import type { Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";

import { builtinAgents } from "../../dist/src/index.js";
import { pages } from "../helpers/browser.ts";
import { sharedHost, until } from "../helpers/hosts.ts";
import { keyFileOf } from "../helpers/keys.ts";
import { servers } from "../helpers/servers.ts";

const TICKING = new URL("../fixtures/ticking.mjs", import.meta.url);
const host = sharedHost({ agent: { interpreter: builtinAgents.interpreter, ticking: TICKING }, interruptGraceMs: 10_000 });
const serve = servers();
const visit = pages();

/** A page of a server of its own; the sessions are everybody's. */
const open = async (path = "/"): Promise<{ page: Page; url: string }> => {
  const { server } = await serve(host());
  return { page: await visit(server.url + path), url: server.url };
};
const newSession = async (agent: string, labels = {}): Promise<string> =>
  (await host().createSession({ agent, prompt: "", initialTurn: "defer", labels })).sessionId;
const transcript = (page: Page) => page.getByRole("log", { name: "Transcript" });
const stateOf = (page: Page) => page.locator(".session-top .badge");
const startTurn = async (page: Page, prompt: string): Promise<void> => {
  await page.getByLabel("Prompt").fill(prompt);
  await page.getByLabel("Prompt").press("Control+Enter");
};

test("a session is created, and what it says is seen as it says it", async () => {
  const { page } = await open();
  await page.getByRole("button", { name: "New session" }).click();
  await page.getByLabel("Agent").fill("ticking");
  await page.getByLabel("Labels").fill("user=ada, topic=clocks");
  await page.getByRole("dialog").getByLabel("Prompt").fill("good morning");
  await page.getByRole("button", { name: "Create" }).click();
  await transcript(page).getByText("tick 3").waitFor();
  expect(await stateOf(page).textContent()).toBe("running");
  expect(await transcript(page).locator(".event").textContent()).toContain("tool_execution_started");
  const id = (await page.locator("h1").textContent()) ?? "";
  expect((await host().read(id)).state.labels).toEqual({ user: "ada", topic: "clocks" });
  await host().cancelAfterBoundary(id);
  await transcript(page).getByText("that was the last tick").waitFor();
  await stateOf(page).getByText("idle").waitFor();
  const text = (await transcript(page).locator(".output").textContent()) ?? "";
  const ticks = text.trim().split("\n").slice(1);
  expect(ticks).toEqual(ticks.map((_, index) => `tick ${index + 1}`));
  // The next turn goes on below.
  await startTurn(page, "once more");
  await page.locator(".turn").nth(1).getByText("tick 1").first().waitFor();
  await host().cancelAfterBoundary(id);
  await expect.poll(() => transcript(page).getByText("that was the last tick").count(), { timeout: 20_000 }).toBe(2);
  await page.getByText("4 messages").waitFor();
});

test("a program that loops is interrupted", async () => {
  const id = await newSession("interpreter");
  const { page } = await open(`/#/sessions/${id}`);
  await startTurn(page, "for (;;) {}");
  await stateOf(page).getByText("running").waitFor();
  await until("it runs", async () => (await host().read(id)).state.isActive);
  await page.getByRole("button", { name: "Interrupt" }).click();
  await transcript(page).getByText("interrupted").waitFor();
  await stateOf(page).getByText("idle").waitFor();
  await startTurn(page, "6 * 7");
  await transcript(page).getByText("42").waitFor();
});

test("W2: a page that is loaded anew within a turn shows what it said, and goes on", async () => {
  const id = await newSession("ticking");
  const { page } = await open(`/#/sessions/${id}`);
  for (const prompt of ["first", "second"]) {
    await startTurn(page, prompt);
    await transcript(page).getByText(prompt).first().waitFor();
    if (prompt === "second") break;
    await until("it runs", async () => (await host().read(id)).state.isActive);
    await host().cancelAfterBoundary(id);
    await transcript(page).getByText("that was the last tick").waitFor();
    await stateOf(page).getByText("idle").waitFor();
  }
  const running = page.locator(".turn").last();
  await running.getByText("tick 5").first().waitFor();
  await page.reload();
  await running.getByText("tick 5").first().waitFor();
  expect((await transcript(page).locator("article").allTextContents()).slice(0, 2)).toEqual([
    "userfirst",
    "assistantthat was the last tick",
  ]);
  const seen = async (): Promise<string[]> => ((await running.locator(".output").allTextContents()).join("") ?? "").trim().split("\n");
  const before = await seen();
  expect(before.slice(0, 3)).toEqual(["second", "tick 1", "tick 2"]);
  await expect.poll(async () => (await seen()).length, { timeout: 20_000 }).toBeGreaterThan(before.length + 5);
  await host().cancelAfterBoundary(id);
  await running.getByText("that was the last tick").waitFor();
  const ticks = (await seen()).slice(1);
  expect(ticks).toEqual(ticks.map((_, index) => `tick ${index + 1}`));
  // Now it is history.
  await page.reload();
  await expect.poll(() => transcript(page).locator("article").count(), { timeout: 20_000 }).toBe(4);
});

test("a turn that somebody else runs is seen, too", async () => {
  const id = await newSession("interpreter");
  const { page } = await open(`/#/sessions/${id}`);
  await stateOf(page).getByText("idle").waitFor();
  const turn = host().startTurn(id, { prompt: 'console.log("from afar"); "over"' });
  await transcript(page).getByText("from afar", { exact: true }).waitFor();
  await turn;
  await transcript(page).getByText("over", { exact: true }).waitFor();
});

test("sessions are searched by label and id, and archived", async () => {
  const ids = [];
  for (const name of ["alpha", "beta", "gamma"]) ids.push(await newSession("interpreter", { project: name, kind: "search" }));
  const [alpha = "", beta = ""] = ids;
  const { page } = await open();
  const rows = page.locator("#session-list a");
  const search = async (text: string, expected: number): Promise<void> => {
    await page.getByRole("searchbox").fill(text);
    await expect.poll(() => rows.count(), { timeout: 20_000 }).toBe(expected);
  };
  await search("kind=search", 3);
  await search("kind=search bet", 1);
  await search("project=alpha", 1);
  await search(beta, 1);
  await search(alpha.slice(-8), 1);
  await search("nowhere", 0);
  await search("kind=search", 3);
  await rows.first().click();
  await page.getByRole("button", { name: "Archive" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Archive" }).click();
  await page.getByRole("region", { name: "Overview" }).waitFor();
  await expect.poll(() => rows.count(), { timeout: 20_000 }).toBe(2);
  expect(await host().list({ labels: { kind: "search" } })).toHaveLength(2);
});

test("everything is done with the keyboard", async () => {
  const ids = [await newSession("ticking", { keys: "yes" }), await newSession("ticking", { keys: "yes" })];
  const { page } = await open();
  const press = (keys: string): Promise<void> => page.keyboard.press(keys);
  await press("?");
  await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
  await press("Escape");
  await press("/");
  await page.keyboard.type("keys=yes");
  await expect.poll(() => page.locator("#session-list a").count(), { timeout: 20_000 }).toBe(2);
  await press("ArrowDown");
  await press("ArrowDown");
  expect(await page.evaluate(() => document.activeElement?.getAttribute("href"))).toBe(`#/sessions/${ids[1]}`);
  await press("Enter");
  await page.getByRole("heading", { name: ids[1] ?? "" }).waitFor();
  await page.keyboard.type("typed");
  await press("Control+Enter");
  await transcript(page).getByText("tick 2").first().waitFor();
  await press("Escape");
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("BODY");
  await press("i");
  await transcript(page).getByText("interrupted").waitFor();
  await press("a");
  await page.getByRole("heading", { name: "Archive this session?" }).waitFor();
  await press("Enter");
  await page.getByRole("region", { name: "Overview" }).waitFor();
  await press("n");
  await page.getByRole("heading", { name: "New session" }).waitFor();
  await press("Escape");
});

test("light and dark: as the system says, or as chosen, over a reload", async () => {
  const { server } = await serve(host());
  const page = await visit(server.url, { colorScheme: "dark" });
  const colour = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await colour();
  await page.getByRole("button", { name: "Switch between light and dark" }).click();
  const light = await colour();
  expect(light).not.toBe(dark);
  await page.reload();
  await expect.poll(colour).toBe(light);
  await page.emulateMedia({ colorScheme: "light" });
  await page.keyboard.press("t");
  expect(await colour()).toBe(dark);
});

test("at 400 pixels nothing is cut off sideways", async () => {
  const { server } = await serve(host());
  const id = await newSession("interpreter", { some: "label", another: "longer-label-than-that" });
  const page = await visit(server.url, { viewport: { width: 400, height: 800 } });
  const overflow = (): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.getByText("ready").first().waitFor();
  expect(await overflow()).toBeLessThanOrEqual(0);
  await page.goto(`${server.url}/#/sessions/${id}`);
  await stateOf(page).getByText("idle").waitFor();
  expect(await overflow()).toBeLessThanOrEqual(0);
  await page.getByRole("button", { name: "Back" }).click();
  await page.getByRole("region", { name: "Overview" }).waitFor();
});

test("K1: a key is asked for when the server wants one, and kept in the tab", async () => {
  const { file, keys, remove } = keyFileOf({ admin: { role: "admin" } });
  onTestFinished(remove);
  const { server } = await serve(host(), { auth: { keyFile: file } });
  const page = await visit(server.url, { expected: /401/ });
  await page.getByRole("textbox", { name: "Key" }).fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("The last one was not accepted.").waitFor();
  await page.getByRole("textbox", { name: "Key" }).fill(keys.admin);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("ready").first().waitFor();
  const stored = await page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage)]);
  expect(stored).toEqual([[keys.admin], []]);
});
