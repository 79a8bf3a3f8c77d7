/** Files the server shows to browsers: read once, known by their digest, so that a browser asks again only whether they changed. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

import type { Api } from "./api.ts";

export interface Asset {
  /** Where it is found, as in a URL. */
  readonly path: string;
  readonly file: string | URL;
  readonly type: string;
  /** Done once, to a text. */
  readonly edit?: (text: string) => string;
}

export const ASSET_TYPES = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
} as const;

interface Loaded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

/** Serve each asset at its path. A file is read when it is first asked for. */
export function serveAssets(api: Api, assets: readonly Asset[]): void {
  for (const { path, file, type, edit } of assets) {
    let loaded: Promise<Loaded> | undefined;
    api.get(path, async (c) => {
      loaded ??= load(file, edit).catch((error: unknown) => {
        loaded = undefined; // for want of descriptors, say: the next one may have them
        throw error;
      });
      const { bytes, etag } = await loaded;
      c.header("etag", etag);
      c.header("cache-control", "no-cache");
      if (c.req.header("if-none-match") === etag) return c.body(null, 304);
      return c.body(bytes, 200, { "content-type": type });
    });
  }
}

async function load(file: string | URL, edit: Asset["edit"]): Promise<Loaded> {
  const raw = await readFile(file);
  const bytes = new Uint8Array(edit === undefined ? raw : Buffer.from(edit(raw.toString("utf8"))));
  return { bytes, etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"` };
}
