/** Reads the text format of Prometheus, and refuses what a scraper would. */

/** One family of samples. */
export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/;
const SUFFIXES = ["_bucket", "_sum", "_count"];

/** @throws Error naming the line that is wrong */
export function parsePrometheus(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const helps = new Map<string, string>();
  const seen = new Set<string>();
  if (!text.endsWith("\n")) throw new Error("the text must end with a line feed");
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (!NAME.test(name) || rest === "" || helps.has(name)) throw new Error(`help: ${line}`);
      helps.set(name, rest);
    } else if (kind === "TYPE") {
      const help = helps.get(name);
      if (families.has(name) || help === undefined || !["counter", "gauge", "histogram"].includes(rest)) throw new Error(`type: ${line}`);
      families.set(name, { type: rest, help, samples: [] });
    } else {
      const [, sample = "", labelText = "", value = ""] = SAMPLE.exec(line) ?? [];
      const base = SUFFIXES.find(
        (suffix) => sample.endsWith(suffix) && families.get(sample.slice(0, -suffix.length))?.type === "histogram",
      );
      const family = families.get(base === undefined ? sample : sample.slice(0, -base.length));
      const number = value === "+Inf" ? Infinity : Number(value);
      if (family === undefined || value === "" || Number.isNaN(number) || seen.has(`${sample}{${labelText}}`))
        throw new Error(`sample: ${line}`);
      if (family.type === "histogram" && base === undefined) throw new Error(`a histogram has no sample of its own name: ${line}`);
      seen.add(`${sample}{${labelText}}`);
      family.samples.push({ name: sample, labels: labelsOf(labelText, line), value: number });
    }
  }
  for (const [name, family] of families) if (family.type === "histogram") checkHistogram(name, family);
  return families;
}

function labelsOf(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== "";) {
    const [all, name, value] = LABEL.exec(rest) ?? [];
    if (all === undefined || name === undefined || value === undefined || name in labels) throw new Error(`labels: ${line}`);
    labels[name] = value;
    rest = rest.slice(all.length);
  }
  return labels;
}

/** Buckets are cumulative, the last is that of all, and counts what `_count` says. */
function checkHistogram(name: string, { samples }: Family): void {
  const series = new Map<string, { bounds: number[]; counts: number[]; count?: number; hasSum?: true }>();
  for (const { name: sample, labels, value } of samples) {
    const { le, ...own } = labels;
    const key = JSON.stringify(own);
    const one = series.get(key) ?? { bounds: [], counts: [] };
    series.set(key, one);
    if (sample === `${name}_bucket`) {
      one.bounds.push(le === "+Inf" ? Infinity : Number(le));
      one.counts.push(value);
    } else if (sample === `${name}_count`) one.count = value;
    else one.hasSum = true;
  }
  for (const [key, { bounds, counts, count, hasSum }] of series) {
    const isAscending = (values: number[], mayEqual: boolean): boolean =>
      values.every((value, index) => index === 0 || value > (values[index - 1] as number) || (mayEqual && value === values[index - 1]));
    if (!isAscending(bounds, false) || !isAscending(counts, true) || bounds.at(-1) !== Infinity || counts.at(-1) !== count || !hasSum)
      throw new Error(`histogram ${name} ${key} is not one`);
  }
}

/** @returns the value of the one sample with these labels; undefined when there is none */
export function valueOf(families: Map<string, Family>, sample: string, labels: Record<string, string> = {}): number | undefined {
  for (const { samples } of families.values()) {
    for (const found of samples) {
      if (found.name !== sample || Object.keys(found.labels).length !== Object.keys(labels).length) continue;
      if (Object.entries(labels).every(([name, value]) => found.labels[name] === value)) return found.value;
    }
  }
  return undefined;
}
