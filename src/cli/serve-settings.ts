/**
 * Every setting of `warren serve`, written once: members of the configuration file, environment variables, flags, the schema
 * (serve-config.ts) and docs/configuration.md follow from this table.
 *
 *   C1. A setting has one name: `maxSessions` in the file, WARREN_MAX_SESSIONS in the environment, --max-sessions as a flag.
 */
import type { QuotaOptions } from "../server/quotas/options.ts";

interface Described {
  readonly about: string;
  /** Placeholder of its value in help. */
  readonly value: string;
  /** It is of use only together with this one. */
  readonly needs?: string;
}
interface TextSetting extends Described {
  /** "path": of a file or folder; a relative one is taken from where it is written: the file's folder, or the working directory. "place": a path, or a URL. */
  readonly kind: "text" | "path" | "place" | "url";
  readonly standard?: string;
}
interface ListSetting extends Described {
  /** In the file an array or one text, in the environment with commas between, as a flag several times. "agents": `module` or `name=module`. */
  readonly kind: "list" | "agents";
  readonly standard?: readonly string[];
}
interface IntegerSetting extends Described {
  readonly kind: "integer";
  readonly min: number;
  readonly max: number;
  readonly standard?: number | "auto";
  /** A word that may stand in the number's place. */
  readonly or?: "auto";
}
interface ChoiceSetting extends Described {
  readonly kind: "choice";
  readonly choices: readonly string[];
  readonly standard: string;
}
interface SwitchSetting extends Described {
  readonly kind: "switch";
  readonly standard: boolean;
}
interface QuotasSetting extends Described {
  /** In the file an object, elsewhere its JSON: see docs/http.md. */
  readonly kind: "quotas";
  readonly standard?: undefined;
}
export type Setting = TextSetting | ListSetting | IntegerSetting | ChoiceSetting | SwitchSetting | QuotasSetting;

/** Milliseconds: the longest a timer takes. */
const MS_MAX = 2_147_483_647;

export const SERVE_SETTINGS = {
  host: {
    kind: "text",
    value: "address",
    standard: "127.0.0.1",
    about: "address to listen on; another than this machine's own needs `keys` or `jwks`",
  },
  port: { kind: "integer", value: "n", min: 0, max: 65_535, standard: 8787, about: "port to listen on; 0 is any free one" },
  keys: { kind: "path", value: "file", about: "who may call: a file of keys, as `warren keys create` makes it" },
  jwks: {
    kind: "place",
    value: "where",
    needs: "jwtIssuer",
    about: "who may call: those with a token of an issuer, whose public keys are at this https URL or in this file",
  },
  jwtIssuer: { kind: "text", value: "name", needs: "jwks", about: "`iss` of every token" },
  jwtAudience: { kind: "list", value: "name", needs: "jwks", about: "one of these must be in `aud` of a token" },
  origins: { kind: "list", value: "url", about: "sites whose pages may call, such as https://example.com; the server's own always may" },
  quotas: {
    kind: "quotas",
    value: "json",
    about: "what tenants may use: `default` and `tenants` by name, each with sessions, turnsPerSecond, turnsBurst, concurrentTurns",
  },
  agent: {
    kind: "agents",
    value: "agent",
    standard: ["interpreter"],
    about: "echo, interpreter, or the path or package of a module that exports an agent; several as name=module",
  },
  store: { kind: "path", value: "dir", about: "keep sessions and their events in this folder; without it they end with the process" },
  durability: {
    kind: "choice",
    value: "level",
    choices: ["fsync", "commit"],
    standard: "fsync",
    needs: "store",
    about: "what an acknowledged turn survives: fsync, the loss of power; commit, the process's death",
  },
  archivePolicy: {
    kind: "choice",
    value: "policy",
    choices: ["retain", "delete"],
    standard: "retain",
    needs: "store",
    about: "whether archived sessions stay readable",
  },
  hibernateAfterMs: {
    kind: "integer",
    value: "n",
    min: 1,
    max: MS_MAX,
    needs: "store",
    about: "milliseconds after which an idle session sleeps in the store; without it only for want of room",
  },
  lanes: { kind: "integer", value: "n", min: 1, max: 512, or: "auto", standard: "auto", about: "worker threads; auto is one a core" },
  dedicatedLanesMax: {
    kind: "integer",
    value: "n",
    min: 0,
    max: 512,
    standard: 16,
    about: "lanes for sessions that want one of their own",
  },
  laneHeapMb: { kind: "integer", value: "n", min: 16, max: 1_048_576, about: "MiB of heap a lane may have; without it as V8 has it" },
  laneStackMb: {
    kind: "integer",
    value: "n",
    min: 1,
    max: 256,
    standard: 16,
    about: "MiB of stack of a lane; the interpreter's programs take from it",
  },
  laneStallPolicy: {
    kind: "choice",
    value: "policy",
    choices: ["report", "kill"],
    standard: "report",
    about: "what becomes of a lane whose loop stands still and nobody interrupts",
  },
  latency: {
    kind: "choice",
    value: "mode",
    choices: ["balanced", "low"],
    standard: "balanced",
    about: "low: threads look out for work a while before they sleep, which costs processor time",
  },
  maxSessions: { kind: "integer", value: "n", min: 1, max: 16_777_216, standard: 100_000, about: "live sessions at most" },
  maxPromptBytes: { kind: "integer", value: "n", min: 1, max: 1_073_741_824, standard: 4_194_304, about: "bytes of a prompt" },
  interruptGraceMs: {
    kind: "integer",
    value: "n",
    min: 0,
    max: MS_MAX,
    standard: 5000,
    about: "milliseconds an agent may ignore an interrupt before its run is given up",
  },
  maxBodyBytes: { kind: "integer", value: "n", min: 1, max: 1_073_741_824, standard: 8_388_608, about: "bytes of a request's body" },
  streamsMax: { kind: "integer", value: "n", min: 1, max: 1_000_000, standard: 20_000, about: "event streams open at a time" },
  heartbeatMs: {
    kind: "integer",
    value: "n",
    min: 1,
    max: 30_000,
    standard: 15_000,
    about: "milliseconds of silence after which a stream says that it is alive",
  },
  writeTimeoutMs: {
    kind: "integer",
    value: "n",
    min: 1,
    max: MS_MAX,
    standard: 30_000,
    about: "milliseconds a client may take nothing of what is written to it, then it is cut off",
  },
  logLevel: {
    kind: "choice",
    value: "level",
    choices: ["silent", "error", "warn", "info"],
    standard: "info",
    about: "what is logged, as JSON lines on standard error",
  },
  drainMs: {
    kind: "integer",
    value: "n",
    min: 0,
    max: MS_MAX,
    standard: 20_000,
    about: "milliseconds running turns may take after a signal to stop",
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SERVE_SETTINGS;
export const SETTING_NAMES = Object.keys(SERVE_SETTINGS) as SettingName[];
export const settingOf = (name: SettingName): Setting => SERVE_SETTINGS[name];

type Settings = typeof SERVE_SETTINGS;
type ValueOf<S extends Setting> = S extends { kind: "integer" }
  ? number | (S extends { or: infer Word } ? Word : never)
  : S extends { kind: "list" | "agents" }
    ? readonly string[]
    : S extends { kind: "choice"; choices: readonly (infer Choice)[] }
      ? Choice
      : S extends { kind: "switch" }
        ? boolean
        : S extends { kind: "quotas" }
          ? QuotaOptions
          : string;
/** What is in effect. */
export type ServeConfig = {
  readonly [N in SettingName]: ValueOf<Settings[N]> | (Settings[N] extends { standard: unknown } ? never : undefined);
};

/** Looked for in the working directory when --config names none. */
export const CONFIG_FILE = "warren.config.json";

/** @returns the environment's name of a setting (C1) */
export const envName = (name: string): string => `WARREN_${name.replaceAll(/[A-Z]/g, "_$&").toUpperCase()}`;
/** @returns its flag, without the value (C1) */
export const flagName = (name: string): string => `--${name.replaceAll(/[A-Z]/g, "-$&").toLowerCase()}`;

/** @returns its flags as help shows them: with the value, or both forms of a switch */
export function flagUsage(name: SettingName): string {
  const { kind, value } = settingOf(name);
  return kind === "switch" ? flagName(name) : `${flagName(name)} <${value}>`;
}

/** Whether a place is not a path. */
export function isUrl(place: string): boolean {
  return /^https?:/.test(place);
}
