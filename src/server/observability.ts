/** What watches a server: metrics always, lines of requests if it has a logger, spans if it was told to trace. */
import type { MiddlewareHandler } from "hono";

import type { Api } from "./api.ts";
import type { Env } from "./env.ts";
import { countRequests } from "./http-counts.ts";
import { logRequests } from "./logging.ts";
import type { Metrics, ObservableService } from "./metrics.ts";
import { createMetrics } from "./metrics.ts";
import type { ServerSettings } from "./options.ts";

export class Observability {
  readonly metrics: Metrics;
  readonly #middleware: readonly MiddlewareHandler<Env>[];

  private constructor(metrics: Metrics, middleware: readonly MiddlewareHandler<Env>[]) {
    this.metrics = metrics;
    this.#middleware = middleware;
  }

  static async open(service: ObservableService, { logger, logRequests: wantsLines, tracing }: ServerSettings): Promise<Observability> {
    // Loaded when it is wanted: it takes as long as the rest of the server.
    const spans = tracing ? [(await import("./tracing.ts")).traced()] : [];
    const lines = logger !== undefined && wantsLines ? [logRequests(logger)] : [];
    const metrics = createMetrics(service);
    return new Observability(metrics, [...spans, ...lines, countRequests(metrics.http)]);
  }

  /** Behind what gives a request its id, and ahead of everything that may refuse it. */
  use(api: Api): void {
    for (const middleware of this.#middleware) api.use(middleware);
  }

  close(): void {
    this.metrics.close();
  }
}
