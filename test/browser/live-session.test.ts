/** One session on the dashboard, when others run turns in it too, and when the network is bad. */
import type { Page } from "playwright-core";
import { afterEach, describe, expect, test } from "vitest";

import { pages } from "../helpers/browser.ts";
import { sharedHost, sleep, until } from "../helpers/hosts.ts";
import type { Meddling, MeddlingProxy } from "../helpers/meddling-proxy.ts";
import { meddlingProxy } from "../helpers/meddling-proxy.ts";
import { servers } from "../helpers/servers.ts";

const TICKING = new URL("../fixtures/ticking.mjs", import.meta.url);
const host = sharedHost({ agent: TICKING, interruptGraceMs: 10_000 });
const serve = servers();
const proxies: MeddlingProxy[] = [];
afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});
const visit = pages();

const TURNS = /\/turns$/;

/** @param meddle - what becomes of requests for the session itself, at first */
const open = async (
  meddle: Meddling = "pass",
  expected?: RegExp,
): Promise<{ id: string; page: Page; proxy: MeddlingProxy; url: string }> => {
  const { sessionId: id } = await host().createSession({ prompt: "", initialTurn: "defer" });
  const { server } = await serve(host());
  const proxy = await meddlingProxy(server.port);
  proxies.push(proxy);
  set(proxy, id, meddle);
  const url = `${proxy.url}/#/sessions/${id}`;
  return { id, proxy, url, page: await visit(url, expected && { expected }) };
};
const set = (proxy: MeddlingProxy, id: string, meddling: Meddling): void => {
  proxy.meddle = (_, path) => (path === `/v1/sessions/${id}` ? meddling : "pass");
};
const transcript = (page: Page) => page.getByRole("log", { name: "Transcript" });
const stateOf = (page: Page) => page.locator(".session-top .badge");
const stateIs = (page: Page, state: string): Promise<void> => stateOf(page).getByText(state, { exact: true }).waitFor();
const said = (page: Page): Promise<string[]> => transcript(page).locator("article").allTextContents();
const LAST = "assistantthat was the last tick";
const startTurn = async (page: Page, prompt: string): Promise<void> => {
  await page.getByLabel("Prompt").fill(prompt);
  await page.getByLabel("Prompt").press("Control+Enter");
};
/** The lines that the turn at that place has said. */
const linesOf = async (page: Page, nth: number): Promise<string[]> =>
  (await page.locator(".turn").nth(nth).locator(".output").allTextContents()).join("").trim().split("\n");
/** Waits until the turn has said ten lines more. */
const goesOn = async (page: Page, nth: number): Promise<void> => {
  const { length } = await linesOf(page, nth);
  await expect.poll(async () => (await linesOf(page, nth)).length, { timeout: 15_000 }).toBeGreaterThan(length + 10);
};
const isWhole = async (page: Page, nth: number, prompt: string): Promise<void> => {
  const lines = await linesOf(page, nth);
  expect(lines).toEqual([prompt, ...lines.slice(1).map((_, index) => `tick ${index + 1}`)]);
};
const isActive = async (id: string): Promise<boolean> => (await host().read(id)).state.isActive;
const stop = (id: string): Promise<void> => host().cancelAfterBoundary(id);

describe("another's turn is shown as it goes", () => {
  test("when this page's is refused for it", async () => {
    const { id, page, proxy } = await open("pass", /409/);
    await stateIs(page, "idle");
    set(proxy, id, "hold");
    const theirs = host().startTurn(id, { prompt: "theirs" });
    await startTurn(page, "mine");
    await transcript(page).locator(".error").waitFor();
    set(proxy, id, "pass");
    await stateIs(page, "running");
    const nth = (await page.locator(".turn").nth(0).getByText("mine", { exact: true }).count()) === 0 ? 0 : 1;
    await goesOn(page, nth);
    await stop(id);
    await theirs;
    await stateIs(page, "idle");
    await expect.poll(async () => (await said(page)).toSorted()).toEqual([LAST, expect.stringMatching("^error"), "usermine", "usertheirs"]);
    await isWhole(page, nth, "theirs");
  });

  test("when it follows this page's at once", async () => {
    const { id, page } = await open();
    await stateIs(page, "idle");
    await startTurn(page, "mine");
    await until("it runs", () => isActive(id));
    const theirs = host().startTurn(id, { prompt: "theirs", onBusy: "enqueue" });
    await goesOn(page, 0);
    await stop(id);
    await page.locator(".turn").nth(1).getByText("tick 1").first().waitFor();
    await goesOn(page, 1);
    await stop(id);
    await theirs;
    await expect.poll(() => said(page)).toEqual(["usermine", LAST, "usertheirs", LAST]);
    await isWhole(page, 0, "mine");
    await isWhole(page, 1, "theirs");
  });

  test("and turns that nobody saw run are added", async () => {
    const { id, page, proxy } = await open();
    await stateIs(page, "idle");
    set(proxy, id, "hold");
    for (const prompt of ["one", "two"]) {
      const turn = host().startTurn(id, { prompt });
      await until("it runs", () => isActive(id));
      await stop(id);
      await turn;
    }
    set(proxy, id, "pass");
    await expect.poll(() => said(page), { timeout: 15_000 }).toEqual(["userone", LAST, "usertwo", LAST]);
  });

  test("and is not taken for one that this page has left", async () => {
    const { id, page, url } = await open();
    await stateIs(page, "idle");
    await startTurn(page, "mine");
    await goesOn(page, 0);
    await page.goto(url.replace(/#.*/, "#/"));
    await stop(id);
    await until("it has ended", async () => !(await isActive(id)));
    const theirs = host().startTurn(id, { prompt: "theirs" });
    await until("it runs", () => isActive(id));
    await page.goto(url);
    await stateIs(page, "running");
    await goesOn(page, 0);
    expect(await said(page)).toEqual([]);
    await stop(id);
    await theirs;
    await expect.poll(() => said(page), { timeout: 15_000 }).toEqual(["usermine", LAST, "usertheirs", LAST]);
  });
});

describe("a bad network", () => {
  test("that stalls and cuts a turn's own events loses none of them", async () => {
    const { id, page, proxy } = await open("pass", /ERR_/);
    await stateIs(page, "idle");
    await startTurn(page, "mine");
    await goesOn(page, 0);
    proxy.stall("POST", TURNS);
    await sleep(500);
    proxy.cut("POST", TURNS);
    await goesOn(page, 0);
    await stop(id);
    await expect.poll(() => said(page), { timeout: 15_000 }).toEqual(["usermine", LAST]);
    await isWhole(page, 0, "mine");
  });

  test("when a session is opened is waited out, also by a turn that is started meanwhile", async () => {
    const { id, page, proxy } = await open(503, /503/);
    await page.getByRole("alert").getByText("trying again").waitFor();
    await startTurn(page, "mine");
    set(proxy, id, "pass");
    await goesOn(page, 0);
    await stop(id);
    await stateIs(page, "idle");
    expect(await page.getByRole("alert").last().textContent()).toBe("");
  });

  test("no: a refusal is told to who starts a turn, too", async () => {
    const { page } = await open(403, /403/);
    await page.getByRole("alert").getByText("403").waitFor();
    await startTurn(page, "mine");
    await stateIs(page, "idle");
    expect(await page.getByRole("alert").getByText("403").count()).toBe(1);
  });
});

test("what has gone stays gone", async () => {
  const { id, page } = await open();
  await stateIs(page, "idle");
  await host().archive(id);
  await stateIs(page, "gone");
  await sleep(2500);
  expect(await stateOf(page).textContent()).toBe("gone");
  expect(await page.getByRole("button", { name: "Start" }).isDisabled()).toBe(true);
});
