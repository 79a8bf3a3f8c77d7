/**
 * JSON Web Tokens as credentials.
 *
 *   J1. Only a token that is signed by a key of the set with an algorithm that is allowed, is from the issuer, for the audience, and has
 *       an end that is not past.
 *   J2. What it may do stands in it: a role, and for every role but admin a tenant. A token with neither, or with both admin and a tenant,
 *       is refused: what an issuer means by an admin of one tenant is not what it would get.
 *   J3. A token that cannot be checked now is not called wrong.
 */
import type { JWTPayload } from "jose";
import { errors, jwtVerify } from "jose";

import type { Logger } from "../../protocol/options.ts";
import { HttpError } from "../problems.ts";
import type { Principal, Role } from "../principal.ts";
import { ROLES } from "../principal.ts";
import { invalidToken } from "./credentials.ts";
import type { KeySet } from "./key-set.ts";
import { KeysUnavailableError, openKeySet } from "./key-set.ts";
import type { JwtSettings } from "./options.ts";
import { TenantName } from "./options.ts";

/** Characters of a subject that are kept. */
const SUBJECT_MAX = 128;

export class TokenVerifier {
  readonly #settings: JwtSettings;
  readonly #keys: KeySet;
  /** Epoch milliseconds at which what was verified is no longer good. */
  readonly #ends = new WeakMap<Principal, number>();

  private constructor(settings: JwtSettings, keys: KeySet) {
    this.#settings = settings;
    this.#keys = keys;
  }

  /** @throws Error when the file of keys cannot be used */
  static async open(settings: JwtSettings, everyMs: number, logger?: Pick<Logger, "info" | "warn">): Promise<TokenVerifier> {
    return new TokenVerifier(settings, await openKeySet(settings, everyMs, logger));
  }

  /** @throws HttpError UNAUTHENTICATED, UNAVAILABLE. Waits for the key set when it must be fetched */
  async verify(token: string): Promise<Principal> {
    const { issuer, audience, algorithms, clockToleranceS } = this.#settings;
    let payload: JWTPayload;
    try {
      const options = { issuer, audience, algorithms, clockTolerance: clockToleranceS, requiredClaims: ["exp"] };
      ({ payload } = await jwtVerify(token, this.#keys.keyFor, options));
    } catch (error) {
      if (error instanceof KeysUnavailableError) throw new HttpError("UNAVAILABLE", error.message, { headers: { "retry-after": "1" } });
      throw invalidToken(reasonOf(error));
    }
    const principal = this.#principalOf(payload);
    this.#ends.set(principal, ((payload.exp as number) + clockToleranceS) * 1000);
    return principal;
  }

  /** @returns when the token's time is over, in epoch milliseconds; undefined: the principal is of no token */
  endOf(principal: Principal): number | undefined {
    return this.#ends.get(principal);
  }

  reload(): Promise<void> {
    return this.#keys.reload();
  }

  close(): void {
    this.#keys.close();
  }

  /** J2 */
  #principalOf(payload: JWTPayload): Principal {
    const { tenantClaim, roleClaim } = this.#settings;
    const role = roleOf(Object.hasOwn(payload, roleClaim) ? payload[roleClaim] : undefined);
    if (role === undefined) throw invalidToken(`the token's ${roleClaim} is none of ${ROLES.join(", ")}`);
    const key = `jwt:${String(payload.sub ?? "").slice(0, SUBJECT_MAX)}`;
    const tenant = Object.hasOwn(payload, tenantClaim) ? payload[tenantClaim] : undefined;
    if (role === "admin") {
      if (tenant !== undefined) throw invalidToken(`the token is admin's, of all tenants, and names one in ${tenantClaim}`);
      return { tenant: undefined, role, key };
    }
    const { data } = TenantName.safeParse(tenant);
    if (data === undefined) throw invalidToken(`the token's ${tenantClaim} names no tenant`);
    return { tenant: data, role, key };
  }
}

function roleOf(claim: unknown): Role | undefined {
  const named: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return ROLES.findLast((role) => named.includes(role));
}

/** Texts of our own: those of a library may quote the token. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "the token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) return `the token's claim ${claimOf(error)} is missing or not the right one`;
  if (error instanceof errors.JOSEAlgNotAllowed) return "the token is signed with an algorithm that is not allowed";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "the token's signature is wrong";
  if (error instanceof errors.JWKSNoMatchingKey) return "the token is signed with an unknown key";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "the token does not say which key it is signed with";
  return "the token is malformed";
}

/** It stands in a header, so only a plain name does. */
function claimOf({ claim }: errors.JWTClaimValidationFailed): string {
  return /^\w{1,32}$/.test(claim) ? claim : "set";
}
