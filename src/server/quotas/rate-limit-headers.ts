/** Tells tenants what they have left: on every answer to one that is limited, refusals among them. */
import type { MiddlewareHandler } from "hono";

import type { Ctx, Env } from "../env.ts";
import { sayAhead } from "../hardening/early-headers.ts";
import type { Principal } from "../principal.ts";
import type { Limited } from "./limited-work.ts";
import type { TenantQuotas } from "./tenant-quotas.ts";

/** Behind `authenticate`. What is settled before the answer begins is told; a stream's headers go out before its end: see `limitedBy`. */
export function rateLimitHeaders(quotas: TenantQuotas): MiddlewareHandler<Env> {
  return async (c, next) => {
    await next();
    sayLimits(c, quotas);
  };
}

/** For work that this request starts: its headers tell what was left once it had what it needs. */
export function limitedBy(c: Ctx, quotas: TenantQuotas): Limited {
  return { quotas, tenant: c.get("principal").tenant, onTaken: () => sayLimits(c, quotas) };
}

function sayLimits(c: Ctx, quotas: TenantQuotas): void {
  const principal = c.get("principal") as Principal | undefined;
  const limits = quotas.headersOf(principal?.tenant);
  if (limits === undefined) return;
  sayAhead(c, "ratelimit-policy", limits.policy);
  if (limits.state !== "") sayAhead(c, "ratelimit", limits.state);
}
