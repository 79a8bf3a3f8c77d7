/** `npm run test:node -- 22`: the whole suite under another Node version, fetched as a package. */
import { spawnSync } from "node:child_process";

const [version, ...rest] = process.argv.slice(2);
if (version === undefined || !/^\d+(\.\d+){0,2}$/.test(version)) {
  process.stderr.write("usage: npm run test:node -- VERSION [vitest arguments]\n");
  process.exit(2);
}
const args = [
  "--yes",
  "-p",
  `node@${version}`,
  "node",
  "node_modules/vitest/vitest.mjs",
  "run",
  "--config",
  "test/vitest.config.ts",
  ...rest,
];
process.exit(spawnSync("npx", args, { stdio: "inherit" }).status ?? 1);
