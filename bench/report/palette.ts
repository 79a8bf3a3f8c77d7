/** A colour for every contender, dark enough to be read as text on white: Warren blue, peers colourful, limits grey and dashed. */
import type { ContenderKind } from "../harness/case.ts";

const COLOURS: Readonly<Record<ContenderKind, readonly string[]>> = {
  warren: ["#0550ae", "#2f81f7"],
  peer: ["#bc4c00", "#9a6700", "#8250df", "#bf3989", "#1a7f37"],
  limit: ["#24292f", "#57606a", "#7d8590"],
};

export interface Look {
  readonly colour: string;
  readonly dash: "solid" | "dashed";
}

/** @returns contender → how it looks, by the order of the contenders within their kind */
export function looksOf(contenders: readonly { readonly name: string; readonly kind: ContenderKind }[]): Map<string, Look> {
  const looks = new Map<string, Look>();
  const seen: Record<ContenderKind, number> = { warren: 0, peer: 0, limit: 0 };
  for (const { name, kind } of contenders) {
    if (looks.has(name)) continue;
    const colours = COLOURS[kind];
    looks.set(name, { colour: colours[seen[kind]++ % colours.length] as string, dash: kind === "limit" ? "dashed" : "solid" });
  }
  return looks;
}
