/** Requests as they are answered: counted by route, never by address, so that there are as many series as the server has routes. */
import type { MiddlewareHandler } from "hono";

import { FixedHistogram } from "../core/fixed-histogram.ts";
import type { Buckets, Sample } from "./metric-rows.ts";
import { routeOf } from "./route-of.ts";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** What is not one of them is "other": a method may be any word. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

interface Answers {
  readonly method: string;
  readonly route: string;
  /** By status. */
  readonly statuses: Map<number, number>;
  readonly seconds: FixedHistogram;
}

export class HttpCounts {
  readonly #answers = new Map<string, Answers>();

  /** @param route - as it was registered. @param seconds - until the answer began */
  add(method: string, route: string, status: number, seconds: number): void {
    const known = METHODS.has(method) ? method : "other";
    const key = `${known} ${route}`;
    let answers = this.#answers.get(key);
    if (answers === undefined) {
      answers = { method: known, route, statuses: new Map(), seconds: new FixedHistogram(SECONDS) };
      this.#answers.set(key, answers);
    }
    answers.statuses.set(status, (answers.statuses.get(status) ?? 0) + 1);
    answers.seconds.add(seconds);
  }

  requests(): Sample[] {
    return [...this.#answers.values()].flatMap(({ method, route, statuses }) =>
      [...statuses].map(([status, value]) => ({ labels: { method, route, status: String(status) }, value })),
    );
  }

  durations(): Buckets[] {
    return [...this.#answers.values()].map(({ method, route, seconds }) => ({
      labels: { method, route },
      bounds: seconds.bounds,
      ...seconds.counted(),
    }));
  }
}

/** Counts every answer; a stream's when it begins. */
export function countRequests(counts: HttpCounts): MiddlewareHandler {
  return async (c, next) => {
    const begunMs = performance.now();
    await next();
    counts.add(c.req.method, routeOf(c), c.res.status, (performance.now() - begunMs) / 1000);
  };
}
