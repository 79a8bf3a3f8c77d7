/** The HTTP server: `import { WarrenServer } from "warren/server"`. */
export { WarrenServer } from "./serve.ts";
export { UnsafeListenError } from "./auth/loopback.ts";
export { KeyFileError } from "./auth/key-file.ts";
export type { AuthOptions, JwtOptions } from "./auth/options.ts";
export type { QuotaOptions, TenantQuota } from "./quotas/options.ts";
export { LOG_LEVELS, createLogger } from "./logging.ts";
export { createMetrics } from "./metrics.ts";
export type { LogLevel, LogOptions, ServerLogger } from "./logging.ts";
export type { Metrics, ObservableService } from "./metrics.ts";
export type { RecentRates } from "./turn-counts.ts";
export type { ServerOptions } from "./options.ts";
export type { Principal, Role } from "./principal.ts";
export type { Problem } from "./problems.ts";
export type { ServableService } from "./service.ts";
