/** Settings of `warren serve` as flags of a command: texts, which the schema understands when the command is run. */
import { Option } from "commander";

import { filePath } from "./option-values.ts";
import type { SettingName } from "./serve-settings.ts";
import { CONFIG_FILE, flagUsage, settingOf } from "./serve-settings.ts";

export function settingOption(name: SettingName): Option {
  const setting = settingOf(name);
  const option = new Option(flagUsage(name), described(name));
  if (setting.kind === "list" || setting.kind === "agents") return option.argParser(oneMore);
  return setting.kind === "switch" && setting.standard ? new Option(flagUsage(name).replace("--", "--no-"), described(name)) : option;
}

export const configOption = (): Option =>
  new Option("--config <file>", `settings as JSON; default: ${CONFIG_FILE}, if it is there`).argParser(filePath);

const oneMore = (text: string, others: readonly string[] = []): readonly string[] => [...others, text];

/** As help shows it. */
function described(name: SettingName): string {
  const { about, standard } = settingOf(name);
  const text = about.replaceAll("`", "");
  return standard === undefined || standard === false ? text : `${text} (default: ${String(standard)})`;
}
