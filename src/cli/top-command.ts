/**
 * `warren top`: looks at a server's host once an interval and shows it, on a terminal in place, elsewhere as blocks of lines. It leaves the
 * terminal as it found it.
 */
import { clearLine, clearScreenDown, cursorTo } from "node:readline";

import type { WarrenClient } from "../client/index.ts";
import type { CommandIo, Terminal } from "./command-io.ts";
import { EXIT, UsageError, messageOf } from "./command-io.ts";
import { printable } from "./printable.ts";
import type { RemoteOptions } from "./remote.ts";
import { openClient, remoteRefusal, remoteUrl } from "./remote.ts";
import type { Look } from "./top-view.ts";
import { factsOf, topLines } from "./top-view.ts";

export interface TopOptions extends RemoteOptions {
  /** Milliseconds between looks. */
  readonly intervalMs: number;
  /** One look, and that is it. */
  readonly once: boolean;
  readonly json: boolean;
}

const OTHER_SCREEN = "\u001b[?1049h\u001b[?25l";
const OWN_SCREEN = "\u001b[?25h\u001b[?1049l";
const COLUMNS = 120;

/** @throws UsageError when the server cannot be reached at first, or does not let the caller in */
export async function topCommand(options: TopOptions, io: CommandIo): Promise<number> {
  const url = remoteUrl(options, io.env) ?? DEFAULT_URL;
  const client = openClient({ ...options, url }, io.env);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  io.signals.on("SIGINT", onSignal);
  io.signals.on("SIGTERM", onSignal);
  io.stdout.on("error", onSignal); // nobody looks any more
  const screen = !options.json && !options.once && io.stdout.isTTY === true ? new Screen(io.stdout) : undefined;
  try {
    return await watch(client, url, options, io, screen, stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return EXIT.ok;
    throw remoteRefusal(error) ?? new UsageError(`option '--url <url>': ${messageOf(error)}`);
  } finally {
    screen?.close();
    io.signals.off("SIGINT", onSignal);
    io.signals.off("SIGTERM", onSignal);
    io.stdout.off("error", onSignal);
  }
}

const DEFAULT_URL = "http://127.0.0.1:8787";

async function watch(
  client: WarrenClient,
  url: string,
  { intervalMs, once, json }: TopOptions,
  io: CommandIo,
  screen: Screen | undefined,
  signal: AbortSignal,
): Promise<number> {
  let before = await look(client, signal);
  for (;;) {
    await pause(intervalMs, signal);
    if (signal.aborted) return EXIT.ok;
    let now: Look;
    try {
      now = await look(client, signal);
    } catch (error) {
      if (screen === undefined || signal.aborted) throw error;
      screen.show([`${url}  ${messageOf(error)}`]); // it may come back
      continue;
    }
    const facts = factsOf(before, now);
    const lines = json ? [JSON.stringify(facts)] : topLines(url, facts).map((line) => printable(line, columnsOf(io.stdout)));
    if (screen === undefined) io.stdout.write(`${lines.join("\n")}\n${json || once ? "" : "\n"}`);
    else screen.show([...lines, "", "Ctrl-C leaves"]);
    if (once) return EXIT.ok;
    before = now;
  }
}

async function look(client: WarrenClient, signal: AbortSignal): Promise<Look> {
  const report = await client.host({ signal });
  return { report, atMs: performance.now() };
}

/** Resolves early when the signal comes. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}

const columnsOf = (stream: Terminal): number => ((stream as { columns?: number }).columns ?? COLUMNS) - 1;

/** The terminal's second screen, on which each picture replaces the one before without flicker. */
class Screen {
  readonly #stream: Terminal;

  constructor(stream: Terminal) {
    this.#stream = stream;
    stream.write(OTHER_SCREEN);
  }

  show(lines: readonly string[]): void {
    const rows = (this.#stream as { rows?: number }).rows ?? lines.length;
    this.#stream.cork();
    cursorTo(this.#stream, 0, 0);
    for (const line of lines.slice(0, rows - 1)) {
      this.#stream.write(line);
      clearLine(this.#stream, 1);
      this.#stream.write("\r\n");
    }
    clearScreenDown(this.#stream);
    this.#stream.uncork();
  }

  close(): void {
    this.#stream.write(OWN_SCREEN);
  }
}
