/**
 * What `warren serve` is told, by a file, the environment and flags, checked with one schema and put together.
 *
 *   C2. Flags count before the environment, the environment before the file, the file before what is standard.
 *   C3. Whatever is wrong is refused with its origin and its name, also where something else would count before it.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

import * as z from "zod";

import { QuotaOptionsSchema } from "../server/quotas/options.ts";
import { namedAgent } from "./agent-option.ts";
import { UsageError, messageOf } from "./command-io.ts";
import type { ServeConfig, Setting, SettingName } from "./serve-settings.ts";
import { CONFIG_FILE, SERVE_SETTINGS, SETTING_NAMES, envName, flagUsage, isUrl, settingOf } from "./serve-settings.ts";

export interface EffectiveConfig {
  readonly values: ServeConfig;
  /** Where each value is from: "default", or the file, the variable, the flag. */
  readonly origins: Readonly<Record<SettingName, string>>;
}

/** Who says something: a file, the environment, the flags. */
interface Source {
  readonly values: Readonly<Record<string, unknown>>;
  readonly originOf: (name: SettingName) => string;
  /** Whether that names the setting, too. */
  readonly isNaming: boolean;
  /** Folder from which relative paths are taken. Undefined: the working directory, and paths stay as they are written. */
  readonly folder?: string;
}

const schemaOf = (setting: Setting): z.ZodType => {
  switch (setting.kind) {
    case "text":
    case "path":
    case "place":
      return z.string("must be a text").min(1, "must not be empty");
    case "url":
      return z.url({ protocol: /^https?$/, error: "must be an http or https URL" });
    case "list":
    case "agents": {
      const items = z.array(z.string("must be a text").min(1, "must not be empty"), "must be a text or a list of them");
      const several = items.min(1, "must not be empty");
      return setting.kind === "list" ? several : several.superRefine(checkAgents);
    }
    case "integer": {
      const { min, max, or } = setting;
      const range = `must be a whole number from ${min} to ${max}${or === undefined ? "" : `, or ${or}`}`;
      const number = z.int(range).min(min, range).max(max, range);
      return or === undefined ? number : z.union([number, z.literal(or)], range);
    }
    case "choice":
      return z.enum(setting.choices as [string, ...string[]], `must be one of ${setting.choices.join(", ")}`);
    case "quotas":
      return QuotaOptionsSchema;
    case "switch":
      return z.boolean("must be true or false");
    default:
      return setting satisfies never;
  }
};

/** One agent, or several that have names. */
function checkAgents(agents: readonly string[], context: z.RefinementCtx): void {
  const names = agents.map((agent) => namedAgent(agent).name);
  if (agents.length > 1 && names.includes(undefined)) context.addIssue("must be name=module each, when there are several");
  if (new Set(names).size < names.length) context.addIssue("must not name an agent twice");
}

/** The one schema: of the file, and of what the environment and flags say once it is understood. */
const ServeConfigSchema = z.strictObject(
  Object.fromEntries(SETTING_NAMES.map((name) => [name, schemaOf(settingOf(name)).optional()])),
  "must be an object",
);

export interface ConfigSources {
  /** As commander has them: texts, lists of texts, switches. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: NodeJS.ProcessEnv;
  /** Path of the file, if the caller named one. */
  readonly file?: string | undefined;
}

/** @throws UsageError that names the origin and the setting (C3) */
export function loadServeConfig({ flags, env, file }: ConfigSources): EffectiveConfig {
  const named = file ?? nonEmpty(env[envName("config")]);
  const path = named ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined);
  const sources: Source[] = [
    { values: understood(flags), originOf: (name) => `option '${flagUsage(name)}'`, isNaming: true },
    { values: understood(environment(env)), originOf: (name) => `environment variable ${envName(name)}`, isNaming: true },
    ...(path === undefined ? [] : [{ values: readFile(path), originOf: () => path, isNaming: false, folder: dirname(resolve(path)) }]),
  ];
  const said = sources.map((source) => ({ ...source, values: checked(source) }));
  const values: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const name of SETTING_NAMES) {
    const source = said.find((one) => one.values[name] !== undefined); // C2
    const setting = settingOf(name);
    values[name] = source === undefined ? setting.standard : located(setting, source.values[name], source.folder);
    origins[name] = source === undefined ? "default" : source.originOf(name);
  }
  for (const name of SETTING_NAMES) {
    const { needs } = settingOf(name);
    if (needs !== undefined && origins[name] !== "default" && values[needs] === undefined)
      throw new UsageError(`${origins[name]}: ${name} is of no use without ${needs}`);
  }
  return { values: values as ServeConfig, origins: origins as Record<SettingName, string> };
}

function readFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read the configuration ${path}: ${messageOf(error)}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path}: is not JSON: ${messageOf(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new UsageError(`${path}: must be an object`);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, isListOfOne(name, member) ? [member] : member]));
}

/** One text where a list may stand. */
const isListOfOne = (name: string, member: unknown): boolean => typeof member === "string" && isList(name);
const isList = (name: string): boolean => {
  const kind = Object.hasOwn(SERVE_SETTINGS, name) ? settingOf(name as SettingName).kind : undefined;
  return kind === "list" || kind === "agents";
};

function environment(env: NodeJS.ProcessEnv): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const text = nonEmpty(env[envName(name)]);
    if (text !== undefined) values[name] = isList(name) ? text.split(",").map((part) => part.trim()) : text;
  }
  return values;
}

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);

/** @returns texts as the values they are, and those that are none as they stand, for the schema to refuse */
function understood(said: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    SETTING_NAMES.filter((name) => said[name] !== undefined).map((name) => {
      const value = said[name];
      const { kind } = settingOf(name);
      if (kind === "integer" && typeof value === "string" && /^-?\d+$/.test(value)) return [name, Number(value)];
      if (kind === "quotas" && typeof value === "string") return [name, parsedJson(value)];
      if (kind === "switch" && (value === "true" || value === "1")) return [name, true];
      if (kind === "switch" && (value === "false" || value === "0")) return [name, false];
      return [name, value];
    }),
  );
}

/** @returns a text that is no JSON as it is, for the schema to refuse */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function checked({ values, originOf, isNaming }: Source): Record<string, unknown> {
  const result = ServeConfigSchema.safeParse(values);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = (issue?.path ?? []).map(String);
  const [name, ...rest] = path;
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  const field = [...(isNaming || name === undefined ? [] : [name]), ...rest, ...unknown].join(".");
  const problem = unknown.length > 0 ? "is not a known setting" : (issue?.message ?? "is not valid");
  throw new UsageError(`${originOf((name ?? "host") as SettingName)}: ${field === "" ? "" : `${field}: `}${problem}`);
}

/** @returns a value with its paths taken from the folder of the file that names them */
function located(setting: Setting, value: unknown, folder: string | undefined): unknown {
  if (folder === undefined) return value;
  const isPath = setting.kind === "path" || (setting.kind === "place" && !isUrl(value as string));
  if (isPath) return resolve(folder, value as string);
  if (setting.kind !== "agents") return value;
  return (value as string[]).map((agent) => {
    const { name, module } = namedAgent(agent);
    const path = resolve(folder, module);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return agent;
    return name === undefined ? path : `${name}=${path}`;
  });
}
