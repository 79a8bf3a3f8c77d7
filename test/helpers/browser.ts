/** A browser for tests: the system's Chromium. Whatever it should not do fails the test: requests to others, errors, violations of the policy. */
import { existsSync } from "node:fs";

import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";

const CHROMIUM = [process.env["WARREN_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Milliseconds until something must have appeared: catches hangs, measures nothing. */
const PATIENCE_MS = 20_000;

export interface Visit extends BrowserContextOptions {
  /** What the console may say. */
  expected?: RegExp;
}

/** @returns a way to open pages; each is closed when its test ends, and must have behaved */
export function pages(): (url: string, visit?: Visit) => Promise<Page> {
  let browser: Browser;
  const wrongs: string[] = [];
  beforeAll(async () => {
    const executablePath = CHROMIUM.find((path) => path !== undefined && existsSync(path));
    if (executablePath === undefined) throw new Error("no Chromium: install it (apt-get install chromium), or name it in WARREN_CHROMIUM");
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    expect(wrongs.splice(0)).toEqual([]);
  });
  return async (url, { expected, ...options } = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "UTC", ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const { origin } = new URL(url);
    page.on("request", (request) => {
      const asked = request.url();
      if (!asked.startsWith(`${origin}/`)) wrongs.push(`asked another: ${asked}`);
    });
    page.on("console", (message) => {
      const isWrong = message.type() === "error" || message.type() === "warning";
      if (isWrong && expected?.test(message.text()) !== true) wrongs.push(`console: ${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => wrongs.push(`page: ${error.stack ?? error.message}`));
    await page.goto(url);
    return page;
  };
}
