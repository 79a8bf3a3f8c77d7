/** The API's documents: the OpenAPI one, and a page that shows it. */
import { createRequire } from "node:module";

import type { Api } from "./api.ts";
import { ASSET_TYPES, serveAssets } from "./assets.ts";
import { DOCUMENTATION_POLICY } from "./hardening/browsers.ts";

const require = createRequire(import.meta.url);

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Warren API</title>
<link rel="stylesheet" href="/docs/viewer.css">
<div id="api"></div>
<script src="/docs/viewer.js"></script>
<script src="/docs/start.js"></script>
</html>
`;
const START = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });\n`;

/** @param version - of the package */
export function docsRoutes(api: Api, version: string): void {
  const document = { openapi: "3.1.0", info: { title: "Warren", version, description: "Sessions of agents: turns, events, transcripts." } };
  let json: string | undefined;
  api.get("/openapi.json", (c) => c.body((json ??= JSON.stringify(openApiOf(api, document))), 200, { "content-type": "application/json" }));
  const headers = { "content-type": ASSET_TYPES.html, "content-security-policy": DOCUMENTATION_POLICY };
  api.get("/docs", (c) => c.body(PAGE, 200, headers));
  api.get("/docs/start.js", (c) => c.body(START, 200, { "content-type": ASSET_TYPES.js }));
  serveAssets(api, [
    { path: "/docs/viewer.css", file: require.resolve("swagger-ui-dist/swagger-ui.css"), type: ASSET_TYPES.css },
    { path: "/docs/viewer.js", file: require.resolve("swagger-ui-dist/swagger-ui-bundle.js"), type: ASSET_TYPES.js },
  ]);
}

function openApiOf(api: Api, document: Parameters<Api["getOpenAPI31Document"]>[0]): object {
  return api.getOpenAPI31Document(document);
}
