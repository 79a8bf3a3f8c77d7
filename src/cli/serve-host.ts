/** Opens what `warren serve` serves, and the server, as the settings say. */
import type { Logger } from "pino";
import { pino } from "pino";

import { EphemeralSessionService } from "../host/ephemeral-service.ts";
import { PersistentSessionService } from "../host/persistent-service.ts";
import { hasErrorCode } from "../protocol/errors.ts";
import type { AuthOptions } from "../server/auth/options.ts";
import { KeyFileError } from "../server/auth/key-file.ts";
import { UnsafeListenError } from "../server/auth/loopback.ts";
import { WarrenServer } from "../server/serve.ts";
import type { ServableService } from "../server/service.ts";
import { agentModules, openingRefusal } from "./agent-option.ts";
import type { Terminal } from "./command-io.ts";
import { UsageError, messageOf } from "./command-io.ts";
import type { EffectiveConfig } from "./serve-config.ts";
import type { ServeConfig, SettingName } from "./serve-settings.ts";
import { isUrl } from "./serve-settings.ts";

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
  const { host, port, maxBodyBytes, streamsMax, heartbeatMs, writeTimeoutMs, origins, quotas } = config.values;
  const auth = authOf(config.values);
  const options = { host, port, maxBodyBytes, streamsMax, heartbeatMs, writeTimeoutMs, auth, quotas, logger };
  try {
    return await WarrenServer.start(service, { ...options, ...(origins && { origins: [...origins] }) });
  } catch (error) {
    throw listenRefusal(error, config) ?? error;
  }
}

/** @returns undefined when nothing is said: then this machine alone may call */
function authOf({ keys, jwks, jwtIssuer, jwtAudience }: ServeConfig): AuthOptions | undefined {
  if (keys === undefined && jwks === undefined) return undefined;
  if (jwks === undefined || jwtIssuer === undefined) return { keyFile: keys };
  if (jwtAudience === undefined) throw new UsageError("jwks needs jwtAudience: who the tokens are for");
  const from = isUrl(jwks) ? { url: jwks } : { file: jwks };
  return { keyFile: keys, jwt: { issuer: jwtIssuer, audience: [...jwtAudience], keys: from } };
}

const LISTEN_PROBLEMS: Readonly<Record<string, readonly [setting: SettingName, problem: string]>> = {
  EADDRINUSE: ["port", "another program listens there (0 takes any free one)"],
  EACCES: ["port", "the system does not let this user listen there"],
  EADDRNOTAVAIL: ["host", "this machine has no such address"],
  ENOTFOUND: ["host", "this machine does not know that name"],
};

function listenRefusal(error: unknown, { values, origins }: EffectiveConfig): UsageError | undefined {
  const { host, port } = values;
  const { code, path } = error as { code?: unknown; path?: unknown };
  const file = (["keys", "jwks"] as const).find((name) => path !== undefined && path === values[name]);
  if (file !== undefined) return new UsageError(`${named(file, origins)}: ${messageOf(error)}`);
  if (values.jwks !== undefined && (error instanceof SyntaxError || code === "ERR_JWKS_INVALID"))
    return new UsageError(`${named("jwks", origins)}: ${values.jwks} holds no JWK Set: ${messageOf(error)}`);
  if (error instanceof UnsafeListenError) return new UsageError(`${named("host", origins)}: ${error.message}`);
  if (error instanceof KeyFileError) return new UsageError(`${named("keys", origins)}: ${error.message}`);
  if (hasErrorCode(error) && code === "INVALID_PARAMS") return new UsageError(messageOf(error).replace("invalid options.", ""));
  const known = typeof code === "string" && Object.hasOwn(LISTEN_PROBLEMS, code) ? LISTEN_PROBLEMS[code] : undefined;
  if (known === undefined) return undefined;
  const [setting, problem] = known;
  return new UsageError(`${named(setting, origins)}: cannot listen on ${host}:${port}: ${problem}`);
}

/** @returns where the value is from, or its name when it is what is standard */
function named(setting: SettingName, origins: EffectiveConfig["origins"]): string {
  return origins[setting] === "default" ? setting : origins[setting];
}
