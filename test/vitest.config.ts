import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = (name: string, extra: object = {}) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...extra },
});

export default defineConfig({
  root,
  test: {
    // Lanes are worker threads of the process under test: each file gets a process of its own.
    pool: "forks",
    maxWorkers: 2,
    // Generous: they catch hangs on a busy machine, they do not measure.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    globalSetup: ["test/helpers/build-once.ts"],
    projects: [
      project("unit"),
      project("contract"),
      project("integration"),
      // What docs/faults.md says; CPU is what bounds them.
      project("faults", { testTimeout: 120_000, maxConcurrency: 3 }),
      project("stress", { testTimeout: 300_000 }),
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
