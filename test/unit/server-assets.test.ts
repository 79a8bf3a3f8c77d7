import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { createApi } from "../../src/server/api.ts";
import { serveAssets } from "../../src/server/assets.ts";

test("a file that could not be read is read when it is asked for again, and once only from then on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "warren-assets-"));
  const file = join(folder, "page.html");
  const api = createApi();
  api.onError((_error, c) => c.body(null, 500));
  serveAssets(api, [{ path: "/page", file, type: "text/html" }]);
  expect((await api.request("/page")).status).toBe(500);
  writeFileSync(file, "one");
  expect(await (await api.request("/page")).text()).toBe("one");
  writeFileSync(file, "two");
  const again = await api.request("/page");
  expect(await again.text()).toBe("one");
  expect((await api.request("/page", { headers: { "if-none-match": again.headers.get("etag") ?? "" } })).status).toBe(304);
  rmSync(folder, { recursive: true });
});
