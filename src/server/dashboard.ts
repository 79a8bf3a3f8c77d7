/**
 * The dashboard: a page, its style, and modules that browsers load as they were compiled. Nothing of it is made when it is asked for, but
 * names of packages, which browsers do not know, are written as paths. (An import map would be an inline script, which the server's policy forbids: hardening/browsers.ts.)
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

import type { Api } from "./api.ts";
import type { Asset } from "./assets.ts";
import { ASSET_TYPES, serveAssets } from "./assets.ts";

const require = createRequire(import.meta.url);

/** The page and its style stand beside their sources, in the package too. */
const PAGES = new URL(import.meta.url.endsWith(".ts") ? "../dashboard/" : "../../../src/dashboard/", import.meta.url);
/** Folders of compiled modules, beside this one's. */
const MODULES = ["client", "dashboard"];
/** Packages that the modules name, seen from a module's folder. */
const PACKAGES: Readonly<Record<string, string>> = {
  "eventsource-parser": "../vendor/eventsource-parser.js",
  uplot: "../vendor/uplot.js",
};

export function dashboardRoutes(api: Api): void {
  const { html, css, js, svg } = ASSET_TYPES;
  const uplot = dirname(require.resolve("uplot"));
  serveAssets(api, [
    { path: "/", file: new URL("index.html", PAGES), type: html },
    { path: "/assets/dashboard/style.css", file: new URL("style.css", PAGES), type: css },
    { path: "/assets/dashboard/icon.svg", file: new URL("icon.svg", PAGES), type: svg },
    { path: "/assets/vendor/uplot.js", file: `${uplot}/uPlot.esm.js`, type: js },
    { path: "/assets/vendor/uplot.css", file: `${uplot}/uPlot.min.css`, type: css },
    { path: "/assets/vendor/eventsource-parser.js", file: new URL(import.meta.resolve("eventsource-parser")), type: js },
    ...MODULES.flatMap(modulesIn),
  ]);
}

function modulesIn(folder: string): Asset[] {
  const files = readdirSync(fileURLToPath(new URL(`../${folder}/`, import.meta.url))).filter((name) => name.endsWith(".js"));
  return files.map((name) => ({
    path: `/assets/${folder}/${name}`,
    file: new URL(`../${folder}/${name}`, import.meta.url),
    type: ASSET_TYPES.js,
    edit: withPaths,
  }));
}

function withPaths(source: string): string {
  return source.replaceAll(/(\bfrom |\bimport )"([\w-]+)"/g, (all, keyword: string, name: string) => {
    const path = PACKAGES[name];
    return path === undefined ? all : `${keyword}"${path}"`;
  });
}
