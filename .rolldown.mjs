/**
 * What every lane loads, as a few files instead of the 180 it is written in, zod's among them: to find and read those one by one
 * was three fifths of a lane's start (docs/performance.md). The bundles take the place of the modules of the same name in dist/; without this
 * step everything works the same, slower. What lanes do without, native code, stays a package of its own.
 */
import { readFileSync } from "node:fs";

import { build } from "rolldown";

/** The packages in the bundles ask that their licences go with them. */
const licenses = {
  name: "licenses",
  generateBundle(_, bundle) {
    const folders = new Set();
    for (const { moduleIds = [] } of Object.values(bundle)) {
      for (const id of moduleIds) for (const [folder] of id.matchAll(/^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/g)) folders.add(folder);
    }
    const texts = [...folders].toSorted().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
      return `${name} ${version} (${license})\n\n${readFileSync(`${folder}/LICENSE`, "utf8").trim()}\n`;
    });
    this.emitFile({ type: "asset", fileName: "workers/LICENSES.txt", source: texts.join(`\n${"-".repeat(80)}\n\n`) });
  },
};

await build({
  input: {
    "workers/lane": "workers/lane.ts",
    "src/agent": "src/agent.ts",
  },
  platform: "node",
  external: "msgpackr-extract",
  plugins: [licenses],
  output: { dir: "dist", chunkFileNames: "workers/[name].js", sourcemap: true },
});
