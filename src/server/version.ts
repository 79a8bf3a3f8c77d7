/** Version of the package this file is part of, built or not. */
import { existsSync, readFileSync } from "node:fs";

export function packageVersion(): string {
  const file = ["../../../package.json", "../../package.json"].map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
  return file === undefined ? "unknown" : (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
