/** Lanes load built JavaScript, so the tests build first, the benchmarks with it. WARREN_SKIP_BUILD=1: what is in dist/ is taken as it is. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export default function setup(): void {
  if (process.env["WARREN_SKIP_BUILD"] === "1") return;
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const run = (...args: string[]): void => void execFileSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  run("node_modules/typescript/bin/tsc", "-p", "bench/tsconfig.json");
  run(".rolldown.mjs");
}
