/** What the package says of itself, found from this file, built or not. */
import { existsSync, readFileSync } from "node:fs";

export interface PackageFacts {
  readonly version: string;
  /** The oldest Node it runs on: "20.19". */
  readonly nodeMin: string;
}

export function packageFacts(): PackageFacts {
  const file = ["../../../package.json", "../../package.json"].map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
  if (file === undefined) return { version: "unknown", nodeMin: "0.0" };
  const { version, engines } = JSON.parse(readFileSync(file, "utf8")) as { version: string; engines: { node: string } };
  return { version, nodeMin: engines.node.replace(/^>=/, "") };
}
