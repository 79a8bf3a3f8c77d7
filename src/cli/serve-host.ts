/** Opens what `warren serve` serves, and the server, as the settings say. */
import type { Logger } from "pino";
import { pino } from "pino";

import { EphemeralSessionService } from "../host/ephemeral-service.ts";
import { PersistentSessionService } from "../host/persistent-service.ts";
import { hasErrorCode } from "../protocol/errors.ts";
import { WarrenServer } from "../server/serve.ts";
import type { ServableService } from "../server/service.ts";
import { agentModules, openingRefusal } from "./agent-option.ts";
import type { Terminal } from "./command-io.ts";
import { UsageError, messageOf } from "./command-io.ts";
import type { EffectiveConfig } from "./serve-config.ts";
import type { ServeConfig, SettingName } from "./serve-settings.ts";

export function openLog({ logLevel }: ServeConfig, stderr: Terminal): Logger {
  return pino({ level: logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stderr);
}

/** @throws UsageError when an agent does not load, or the store does not open */
export async function openService({ values }: EffectiveConfig, logger: Logger): Promise<ServableService> {
  const { agent, store, lanes, dedicatedLanesMax, laneHeapMb, laneStackMb } = values;
  const { durability, archivePolicy, hibernateAfterMs } = values;
  const options = {
    agent: agentModules(agent),
    lanes: {
      count: lanes,
      dedicatedMax: dedicatedLanesMax,
      resourceLimits: { maxOldGenerationSizeMb: laneHeapMb, stackSizeMb: laneStackMb },
    },
    laneStallPolicy: values.laneStallPolicy,
    latency: values.latency,
    maxSessions: values.maxSessions,
    maxPromptBytes: values.maxPromptBytes,
    interruptGraceMs: values.interruptGraceMs,
    logger,
  };
  try {
    if (store === undefined) return await EphemeralSessionService.open(options);
    const path = { kind: "lmdb", path: store } as const;
    return await PersistentSessionService.open({ ...options, store: path, durability, archivePolicy, hibernateAfterMs, events: "log" });
  } catch (error) {
    throw openingRefusal(error, agent.join(", "));
  }
}

/** @throws UsageError when it cannot listen there, or the server refuses its options */
export async function startServer(service: ServableService, config: EffectiveConfig, logger: Logger): Promise<WarrenServer> {
  const { host, port, maxBodyBytes, streamsMax, heartbeatMs, writeTimeoutMs } = config.values;
  try {
    return await WarrenServer.start(service, { host, port, maxBodyBytes, streamsMax, heartbeatMs, writeTimeoutMs, logger });
  } catch (error) {
    throw listenRefusal(error, config) ?? error;
  }
}

const LISTEN_PROBLEMS: Readonly<Record<string, readonly [setting: SettingName, problem: string]>> = {
  EADDRINUSE: ["port", "another program listens there (0 takes any free one)"],
  EACCES: ["port", "the system does not let this user listen there"],
  EADDRNOTAVAIL: ["host", "this machine has no such address"],
  ENOTFOUND: ["host", "this machine does not know that name"],
};

function listenRefusal(error: unknown, { values: { host, port }, origins }: EffectiveConfig): UsageError | undefined {
  const { code } = error as { code?: unknown };
  if (hasErrorCode(error) && code === "INVALID_PARAMS") return new UsageError(messageOf(error).replace("invalid options.", ""));
  const known = typeof code === "string" && Object.hasOwn(LISTEN_PROBLEMS, code) ? LISTEN_PROBLEMS[code] : undefined;
  if (known === undefined) return undefined;
  const [setting, problem] = known;
  const origin = origins[setting] === "default" ? setting : origins[setting];
  return new UsageError(`${origin}: cannot listen on ${host}:${port}: ${problem}`);
}
