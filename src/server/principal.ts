/** Who asks, and what they may do. Roles stand in one table; each includes what stands left of it. */

/** `read` sees its tenant's sessions, `run` changes them too, `admin` sees and changes everybody's, and the host. */
export const ROLES = ["read", "run", "admin"] as const;
export type Role = (typeof ROLES)[number];

export interface Principal {
  /** Whose sessions it sees; undefined: everybody's. */
  readonly tenant: string | undefined;
  readonly role: Role;
  /** Id of the key or token's subject, for logs and quotas. Never a secret. */
  readonly key: string;
}

/** Of a server without authentication, which serves this machine only. */
export const LOCAL: Principal = { tenant: undefined, role: "admin", key: "local" };

/** @returns whether a principal of role `has` may do what needs `needed` */
export function mayActAs(has: Role, needed: Role): boolean {
  return ROLES.indexOf(has) >= ROLES.indexOf(needed);
}
