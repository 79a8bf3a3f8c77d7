/** What tenants may use: one schema, checked when a server starts. */
import * as z from "zod";

import { TenantName } from "../auth/options.ts";

const count = z.int().positive().max(1_000_000_000);

const TenantQuotaSchema = z.strictObject({
  sessions: count.optional(),
  turnsPerSecond: z.number().min(0.001).max(1_000_000).optional(),
  turnsBurst: z.int().positive().max(10_000_000).optional(),
  concurrentTurns: count.optional(),
});

export const QuotaOptionsSchema = z.strictObject({
  default: TenantQuotaSchema.prefault({}),
  tenants: z.record(TenantName, TenantQuotaSchema).default({}),
  tenantsMax: z.int().positive().max(10_000_000).default(10_000),
});

/** With every default filled in. */
export type QuotaSettings = z.output<typeof QuotaOptionsSchema>;

/** What is not named is not limited. */
export interface TenantQuota {
  /** Sessions that are live or stored, archived ones apart. */
  sessions?: number | undefined;
  /** Turns that may start, in the long run. */
  turnsPerSecond?: number | undefined;
  /** Turns that may start at once after a pause. Default: those of one second, at least 1. */
  turnsBurst?: number | undefined;
  /** Turns that run or wait at a time. */
  concurrentTurns?: number | undefined;
}

export interface QuotaOptions {
  /** Of every tenant that `tenants` does not name. Default: no limits. */
  default?: TenantQuota | undefined;
  /** By name; takes the place of the default as a whole. */
  tenants?: Record<string, TenantQuota> | undefined;
  /** Tenants that are remembered. Default 10,000. */
  tenantsMax?: number | undefined;
}
