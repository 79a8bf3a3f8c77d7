/**
 * Spans of requests, by the API of OpenTelemetry; the SDK is the operator's. A request's parent is what its headers say.
 *
 *   S1. A span names the route, never the address or its query: that may hold an id, or a secret.
 *   S2. Without a provider, or when the sampler says no, a request costs one span that records nothing.
 */
import type { Context as Trace, Span, TextMapGetter } from "@opentelemetry/api";
import { SpanKind, SpanStatusCode, TraceFlags, context, createTraceState, propagation, trace } from "@opentelemetry/api";
import type { MiddlewareHandler } from "hono";

import { routeOf } from "./route-of.ts";

const HEADERS: TextMapGetter<Headers> = {
  get: (headers, name) => headers.get(name) ?? undefined,
  keys: (headers) => [...headers.keys()],
};
/** Version, trace, span and flags; later versions may say more behind them. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** A span for each request; what it asks of a host that traces is below it. */
export function traced(): MiddlewareHandler {
  const tracer = trace.getTracer("warren");
  return async (c, next) => {
    const { method, raw } = c.req;
    const parent = parentOf(raw.headers);
    const span = tracer.startSpan(method, { kind: SpanKind.SERVER, attributes: { "http.request.method": method } }, parent);
    try {
      await context.with(trace.setSpan(parent, span), next);
      if (span.isRecording()) describe(span, method, routeOf(c), c.res.status);
    } finally {
      span.end();
    }
  };
}

function describe(span: Span, method: string, route: string, status: number): void {
  span.updateName(`${method} ${route}`);
  span.setAttributes({ "http.route": route, "http.response.status_code": status });
  if (status < 500) return; // a refused request is its caller's failure
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute("error.type", String(status));
}

/** By the propagator that is registered; by W3C Trace Context if none is. */
function parentOf(headers: Headers): Trace {
  const active = context.active();
  if (propagation.fields().length > 0) return propagation.extract(active, headers, HEADERS);
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(headers.get("traceparent") ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return active;
  if (version === "ff" || (version === "00" && more !== undefined)) return active;
  const state = headers.get("tracestate");
  return trace.setSpanContext(active, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
    ...(state !== null && { traceState: createTraceState(state) }),
  });
}
