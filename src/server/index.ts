/** The HTTP server: `import { WarrenServer } from "warren/server"`. */
export { WarrenServer } from "./serve.ts";
export type { ServerOptions } from "./options.ts";
export type { Principal, Role } from "./principal.ts";
export type { Problem } from "./problems.ts";
export type { ServableService } from "./service.ts";
