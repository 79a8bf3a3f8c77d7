import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = (name: string, extra: object = {}) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...extra },
});

/**
 * A folder whose files run one after another in the same few processes: starting a process and loading the product costs most of them more
 * than their tests do. Files that replace modules get a process each, as those of other projects, and so do the ones named here: they change
 * built-ins or take the process's listeners, or measure memory or processor time of the process.
 */
const shared = (name: string, alone: readonly string[]) => {
  const folder = join(root, "test", name);
  const files = readdirSync(folder).filter((file) => file.endsWith(".test.ts"));
  const isAlone = (file: string): boolean =>
    alone.includes(file.replace(".test.ts", "")) || readFileSync(join(folder, file), "utf8").includes("vi.mock(");
  const own = files.filter(isAlone).map((file) => `test/${name}/${file}`);
  return [project(name, { isolate: false, exclude: own }), project(name, { name: `${name}-alone`, include: own })];
};

export default defineConfig({
  root,
  test: {
    // Lanes are worker threads of the process under test.
    pool: "forks",
    // One more than the cores that are sure to be there: many tests wait.
    maxWorkers: 3,
    // Generous: they catch hangs on a busy machine, they do not measure.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    globalSetup: ["test/helpers/build-once.ts"],
    // What is built is loaded as it is, by Node.
    server: { deps: { external: [/\/dist\//] } },
    projects: [
      ...shared("unit", ["fuzz-harness", "intake", "sandbox-limits"]),
      project("contract"),
      ...shared("integration", ["cpu-share", "hogs", "memory-pressure", "server-connections"]),
      // What docs/faults.md says; CPU is what bounds them.
      project("faults", { testTimeout: 120_000, maxConcurrency: 3 }),
      project("stress", { testTimeout: 300_000 }),
      // In the system's Chromium.
      project("browser", { testTimeout: 60_000, hookTimeout: 60_000 }),
      {
        extends: true as const,
        test: {
          name: "types",
          include: [],
          typecheck: { enabled: true, only: true, include: ["test/types/**/*.test-d.ts"], tsconfig: "test/tsconfig.json" },
        },
      },
    ],
  },
});
