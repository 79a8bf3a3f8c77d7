/** How callers are known: one schema, checked when a server starts. */
import * as z from "zod";

import { isLoopback } from "./addresses.ts";

/** A tenant's name, as it stands in keys, tokens and quotas. */
export const TenantName = z.string().regex(/^[\x21-\x7e]{1,128}$/, "must be 1 to 128 visible ASCII characters");

/** Signatures by a key pair: who can check one cannot make one. `none` and shared secrets are not among them. */
// oxfmt-ignore
const ALGORITHMS = [
  "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
] as const;

const milliseconds = (standard: number) => z.int().positive().max(2_147_483_647).default(standard);
const text = z.string().min(1);

const KeySetUrl = z.url({ protocol: /^https?$/ }).refine(isPrivate, "must be https, except on this machine");

const KeySet = z.union(
  [z.strictObject({ url: KeySetUrl }), z.strictObject({ file: text })],
  "must be { url }, https except on this machine, or { file }",
);

const JwtOptionsSchema = z.strictObject({
  issuer: text,
  audience: z.union([text, z.array(text).min(1).max(100)]),
  keys: KeySet,
  algorithms: z
    .array(z.enum(ALGORITHMS))
    .min(1)
    .default([...ALGORITHMS]),
  clockToleranceS: z.int().nonnegative().max(600).default(30),
  tenantClaim: text.default("tenant"),
  roleClaim: text.default("role"),
  fetchTimeoutMs: milliseconds(5000),
  keysMaxAgeMs: milliseconds(600_000),
  refetchAfterMs: milliseconds(30_000),
});

export const AuthOptionsSchema = z
  .strictObject({
    keyFile: text.optional(),
    jwt: JwtOptionsSchema.optional(),
    reloadMs: milliseconds(2000),
  })
  .refine(({ keyFile, jwt }) => keyFile !== undefined || jwt !== undefined, "must name a keyFile, or jwt, or both");

/** With every default filled in. */
export type AuthSettings = z.output<typeof AuthOptionsSchema>;
export type JwtSettings = NonNullable<AuthSettings["jwt"]>;

/** Who may call: those who have a key of the file, those who have a token, or either. */
export interface AuthOptions {
  /** Made by `warren keys create`. It is read at start and whenever it changes. */
  keyFile?: string | undefined;
  jwt?: JwtOptions | undefined;
  /** Milliseconds between looks at the files. Default 2,000. */
  reloadMs?: number | undefined;
}

export interface JwtOptions {
  /** `iss` of every token. */
  issuer: string;
  /** One of these must be in `aud`. */
  audience: string | string[];
  /** The issuer's public keys, a JWK Set: fetched when they are needed, or a file that is read whenever it changes. */
  keys: { url: string } | { file: string };
  /** Default: every asymmetric one. Others cannot be named. */
  algorithms?: (typeof ALGORITHMS)[number][] | undefined;
  /** Seconds that the issuer's clock may be wrong. Default 30. */
  clockToleranceS?: number | undefined;
  /** Default `tenant`. */
  tenantClaim?: string | undefined;
  /** Its value is a role, or a list with roles among its members: the highest counts. Default `role`. */
  roleClaim?: string | undefined;
  /** Milliseconds that fetching the keys may take. Default 5,000. */
  fetchTimeoutMs?: number | undefined;
  /** Milliseconds after which keys are fetched again. Default 600,000. */
  keysMaxAgeMs?: number | undefined;
  /** Milliseconds after a fetch in which an unknown key does not cause another. Default 30,000. */
  refetchAfterMs?: number | undefined;
}

function isPrivate(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"));
}
