/** `warren chat`: opens the host, local or remote, and the terminal, runs the conversation, closes both, and gives the exit code. */
import { createInterface } from "node:readline";

import type { ChatHost, ChatTurnOptions } from "./chat-host.ts";
import { ChatLoop } from "./chat-loop.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError, messageOf } from "./command-io.ts";
import { printableLines } from "./printable.ts";
import type { RemoteOptions } from "./remote.ts";
import { openClient, remoteUrl } from "./remote.ts";
import { ResultWriter } from "./result-writer.ts";

export interface ChatOptions extends RemoteOptions {
  readonly agent?: string;
  readonly store?: string;
  readonly session?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly onBusy?: NonNullable<ChatTurnOptions["onBusy"]>;
  readonly json: boolean;
}

const AGENT = "interpreter";
/** Inputs of the session that the arrow keys bring back. */
const RECALLED = 100;

/** @returns the exit code. @throws UsageError when the host does not open, or has no such session */
export async function chatCommand(options: ChatOptions, io: CommandIo): Promise<number> {
  const host = await openHost(options, io.env);
  try {
    return await converse(host, options, io);
  } finally {
    await host.close();
  }
}

async function openHost(options: ChatOptions, env: NodeJS.ProcessEnv): Promise<ChatHost> {
  const { agent = AGENT, store, url } = options;
  if (url !== undefined && store !== undefined)
    throw new UsageError("option '--url <url>' does not go with '--store <dir>': the server has its own");
  if (store === undefined && remoteUrl(options, env) !== undefined) {
    const { openRemoteChat } = await import("./chat-remote.ts");
    return openRemoteChat(openClient(options, env));
  }
  const { openLocalChat } = await import("./chat-local.ts");
  return openLocalChat(agent, store);
}

async function converse(host: ChatHost, options: ChatOptions, io: CommandIo): Promise<number> {
  const { agent, session, label: labels, timeoutMs, onBusy, json } = options;
  const { stdin, stdout, stderr, signals } = io;
  const isInteractive = (stdin as { isTTY?: boolean }).isTTY === true && stdout.isTTY === true;
  const history = session === undefined ? [] : await saidIn(host, session);
  const lines = createInterface({
    input: stdin,
    ...(isInteractive && { output: stdout, history, historySize: 1000, removeHistoryDuplicates: true }),
    terminal: isInteractive,
    crlfDelay: Infinity,
  });
  let hasFailed = false;
  const out = new ResultWriter(stdout, (error) => {
    hasFailed = true;
    if (error.code !== "EPIPE") stderr.write(`error: cannot write standard output: ${error.message}\n`);
    loop.leave(EXIT.failed);
  });
  const loop = new ChatLoop({
    host,
    lines,
    out,
    tell: (text) => void (isInteractive ? stdout : stderr).write(text),
    session,
    create: { agent, labels },
    turn: { timeoutMs, onBusy },
    isInteractive,
    json,
    onLeft: () => stopListening(),
  });
  const onSignal = (signal: "SIGINT" | "SIGTERM"): void => (signal === "SIGINT" ? loop.interrupt() : loop.leave(EXIT.SIGTERM));
  // From then on a signal ends the process, should something be stuck.
  const stopListening = (): void => {
    signals.off("SIGINT", onSignal);
    signals.off("SIGTERM", onSignal);
  };
  lines.on("SIGINT", () => loop.interrupt());
  signals.on("SIGINT", onSignal);
  signals.on("SIGTERM", onSignal);
  try {
    if (isInteractive) stdout.write("/help shows what there is besides turns\n");
    const exitCode = await loop.run();
    if (!hasFailed) await out.flush();
    return exitCode;
  } finally {
    lines.close();
    stopListening();
  }
}

/** @returns what was said to a session, the last first: for the arrow keys. @throws UsageError when it cannot be read */
async function saidIn(host: ChatHost, session: string): Promise<string[]> {
  try {
    const messages = await host.history(session, 2 * RECALLED);
    return messages.flatMap((message) => (message.role === "user" ? [message.content.replaceAll("\n", " ")] : [])).toReversed();
  } catch (error) {
    throw new UsageError(`option '--session <id>': ${printableLines(messageOf(error))}`);
  }
}
