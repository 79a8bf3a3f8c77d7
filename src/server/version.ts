/** What the package this file is part of says of itself, built or not. */
import { existsSync, readFileSync } from "node:fs";

export const packageVersion = (): string => packageFacts().version;

/** @returns also the oldest Node it runs on: "20.19" */
export function packageFacts(): { readonly version: string; readonly nodeMin: string } {
  const file = ["../../../package.json", "../../package.json"].map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
  if (file === undefined) return { version: "unknown", nodeMin: "0.0" };
  const { version, engines } = JSON.parse(readFileSync(file, "utf8")) as { version: string; engines: { node: string } };
  return { version, nodeMin: engines.node.replace(/^>=/, "") };
}
