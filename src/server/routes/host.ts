/** The host itself: whether it is well, and what it does. */
import { createRoute, z } from "@hono/zod-openapi";

import type { Api } from "../api.ts";
import type { ServerParts } from "../env.ts";
import * as schemas from "../schemas.ts";
import { answerJson, apiRoute, jsonAnswer } from "./route.ts";

const tags = ["host"];

const healthz = createRoute({
  method: "get",
  path: "/healthz",
  tags,
  summary: "Whether the process answers",
  responses: { 200: jsonAnswer("it does", schemas.Health) },
});

const readyz = createRoute({
  method: "get",
  path: "/readyz",
  tags,
  summary: "Whether new work is let in",
  responses: { 200: jsonAnswer("it is", schemas.Health), 503: jsonAnswer("it is not: send it elsewhere", schemas.Health) },
});

const host = apiRoute("admin", {
  method: "get",
  path: "/v1/host",
  tags,
  summary: "Lanes, sessions, queues, counters",
  responses: { 200: jsonAnswer("measured now", schemas.HostReport) },
});

const metrics = apiRoute("admin", {
  method: "get",
  path: "/metrics",
  tags,
  summary: "Metrics for Prometheus; docs/metrics.md names them",
  responses: { 200: { description: "the text format of Prometheus", content: { "text/plain": { schema: z.string() } } } },
});

export function hostRoutes(api: Api, { service, observability }: ServerParts): void {
  api.openapi(healthz, (c) => c.json({ status: "ok" as const }, 200));
  api.openapi(readyz, (c) => {
    const { state, health } = service.inspect();
    return state === "open" ? c.json({ status: health }, 200) : c.json({ status: "closing" as const }, 503);
  });
  api.openapi(host, (c) => answerJson(c, { ...service.inspect(), recent: observability.metrics.recent() }));
  api.openapi(metrics, async (c) => {
    const measured = observability.metrics;
    return c.text(await measured.text(), 200, { "content-type": measured.contentType });
  });
}
