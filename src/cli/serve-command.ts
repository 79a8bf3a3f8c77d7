/**
 * `warren serve`: a host behind a server until a signal comes. The first closes the door and lets running turns finish, for `drainMs`; the
 * second interrupts them; a third has its default effect.
 */
import type { WarrenServer } from "../server/serve.ts";
import type { ServableService } from "../server/service.ts";
import { packageVersion } from "../server/version.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT } from "./command-io.ts";
import type { EffectiveConfig } from "./serve-config.ts";
import { loadServeConfig } from "./serve-config.ts";
import { openLog, openService, startServer } from "./serve-host.ts";
import type { SettingName } from "./serve-settings.ts";
import { SETTING_NAMES } from "./serve-settings.ts";
import { StopSignals } from "./stop-signals.ts";

/** Sessions looked at together. */
const PAGE = 1000;
const NEVER_MS = 2_147_483_647;
/** Milliseconds after the drain in which turns are interrupted, and their answers reach their clients. */
const ANSWER_MS = 30_000;

export interface ServeOptions {
  readonly config?: string;
  readonly printConfig: boolean;
  readonly json: boolean;
  /** The settings, as they were written. */
  readonly [flag: string]: unknown;
}

/** @returns the exit code, when it has ended. @throws UsageError when it cannot begin */
export async function serveCommand({ config: file, printConfig, json, ...flags }: ServeOptions, io: CommandIo): Promise<number> {
  const config = loadServeConfig({ flags, env: io.env, file });
  if (printConfig) {
    io.stdout.write(json ? `${JSON.stringify(shownConfig(config))}\n` : configLines(config));
    return EXIT.ok;
  }
  const logger = openLog(config.values, io.stderr);
  const service = await openService(config, logger);
  try {
    const server = await startServer(service, config, logger);
    io.stdout.write(json ? `${JSON.stringify(addresses(server.url))}\n` : greeting(server.url, config));
    return await untilStopped(server, service, config.values.drainMs, io);
  } finally {
    await service.shutdown({ deadlineMs: 0 });
  }
}

/** @returns EXIT.ok, or what says that running turns were interrupted by a second signal */
async function untilStopped(server: WarrenServer, service: ServableService, drainMs: number, io: CommandIo): Promise<number> {
  let end: () => void;
  const asked = new Promise<void>((resolve) => (end = resolve));
  const steps = { finish: () => end(), interrupt: () => void interruptAll(service) };
  const signals = new StopSignals(io.signals, steps, NEVER_MS); // the host keeps the time itself
  try {
    await asked;
    // Both at once: what is being answered is answered when its turn is over, which the host sees to.
    await Promise.all([server.close({ deadlineMs: drainMs + ANSWER_MS }), service.shutdown({ deadlineMs: drainMs })]);
    return signals.count > 1 && signals.first !== undefined ? EXIT[signals.first] : EXIT.ok;
  } finally {
    signals.settled();
  }
}

/** Interrupt every turn that runs. Never rejects: what ends by itself meanwhile is what was wanted. */
async function interruptAll(service: ServableService): Promise<void> {
  let after: string | undefined;
  do {
    const page = await service.list({ limit: PAGE, after }).catch(() => []);
    for (const { sessionId, isActive } of page) if (isActive) service.interrupt(sessionId).catch(() => {});
    after = page.length < PAGE ? undefined : page.at(-1)?.sessionId;
  } while (after !== undefined && service.inspect().turns.running > 0);
}

const addresses = (url: string) => ({ url, dashboard: `${url}/`, docs: `${url}/docs`, pid: process.pid });

function greeting(url: string, { values: { agent, store } }: EffectiveConfig): string {
  return `warren ${packageVersion()} serves ${agent.join(", ")}
  dashboard  ${url}/
  API        ${url}/v1/sessions, described at ${url}/docs
  sessions   ${store === undefined ? "in memory, gone with this process (--store <dir> keeps them)" : `kept in ${store}`}
Ctrl-C stops it: running turns may finish, once more interrupts them.
`;
}

function shownConfig({ values, origins }: EffectiveConfig): object {
  return Object.fromEntries(SETTING_NAMES.map((name) => [name, { value: values[name] ?? null, origin: origins[name] }]));
}

function configLines({ values, origins }: EffectiveConfig): string {
  const shown = (name: SettingName): string => {
    const value = values[name];
    return value === undefined
      ? "-"
      : typeof value === "object" && !Array.isArray(value)
        ? JSON.stringify(value)
        : [value].flat().join(", ");
  };
  return SETTING_NAMES.map((name) => `${name.padEnd(20)} ${shown(name).padEnd(24)} ${origins[name]}\n`).join("");
}
