/** `warren doctor`: looks at everything `warren serve` would need with the same settings, and says what is wrong and what to do. */
import { packageFacts } from "../server/version.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError, messageOf } from "./command-io.ts";
import type { Finding } from "./doctor-checks.ts";
import { checkMachine, readMachine } from "./doctor-checks.ts";
import { tryAgents, tryNativeParts, tryPort, tryStore } from "./doctor-trials.ts";
import { printableLines } from "./printable.ts";
import type { EffectiveConfig } from "./serve-config.ts";
import { loadServeConfig } from "./serve-config.ts";

export interface DoctorOptions {
  readonly config?: string;
  readonly store?: string;
  readonly agent?: readonly string[];
  readonly host?: string;
  readonly port?: string;
  /** For a turn of each agent. */
  readonly prompt?: string;
  readonly json: boolean;
}

/** @returns EXIT.failed when a finding is one of "fail" */
export async function doctorCommand({ config: file, prompt, json, ...flags }: DoctorOptions, { env, stdout }: CommandIo): Promise<number> {
  const findings: Finding[] = [];
  const tell = (...found: Finding[]): void => {
    findings.push(...found);
    if (!json) for (const finding of found) stdout.write(lineOf(finding));
  };
  tell(...checkMachine(readMachine(packageFacts().nodeMin)));
  const config = configOf(() => loadServeConfig({ flags, env, file }));
  tell(config.finding);
  tell(await tryNativeParts());
  if (config.effective !== undefined) {
    const { store, host, port, agent } = config.effective.values;
    if (store !== undefined) tell(...(await tryStore(store)));
    tell(await tryPort(host, port));
    tell(...(await tryAgents(agent, prompt)));
  }
  const failed = findings.filter(({ status }) => status === "fail").length;
  if (json) stdout.write(`${JSON.stringify({ ok: failed === 0, findings })}\n`);
  else stdout.write(failed === 0 ? "all is well enough to serve\n" : `${failed} of ${findings.length} failed\n`);
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

function configOf(load: () => EffectiveConfig): { readonly finding: Finding; readonly effective?: EffectiveConfig } {
  const check = "configuration";
  try {
    const effective = load();
    const origins = Object.values(effective.origins).filter((origin) => origin !== "default");
    const found = origins.length === 0 ? "nothing set, defaults hold" : `${origins.length} set, by ${[...new Set(origins)].join(", ")}`;
    return { finding: { check, status: "ok", found }, effective };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { finding: { check, status: "fail", found: messageOf(error), advice: "docs/configuration.md has every setting" } };
  }
}

function lineOf({ check, status, found, advice }: Finding): string {
  const line = `${status.padEnd(5)} ${check.padEnd(14)} ${printableLines(found).replaceAll("\n", " ")}\n`;
  return advice === undefined ? line : `${line}${" ".repeat(21)}${advice}\n`;
}
