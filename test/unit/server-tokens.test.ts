/** JSON Web Tokens against an issuer of our own, whose keys are fetched over HTTP or read from a file. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { CryptoKey, JWK, JWTPayload } from "jose";
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import type { JwtOptions } from "../../src/server/auth/options.ts";
import { AuthOptionsSchema } from "../../src/server/auth/options.ts";
import { TokenVerifier } from "../../src/server/auth/tokens.ts";
import type { HttpError } from "../../src/server/problems.ts";
import type { Principal } from "../../src/server/principal.ts";

interface Signer {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}
async function newSigner(kid: string, alg = "ES256"): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } };
}

const GOOD = { sub: "ada", tenant: "acme", role: "run" };
interface TokenFields {
  iss?: string;
  aud?: string;
  exp?: number | undefined;
  kid?: string;
}
function tokenOf(signer: Signer, claims: JWTPayload = GOOD, fields: TokenFields = {}): Promise<string> {
  const { iss = "https://issuer.test", aud = "warren", kid = signer.kid } = fields;
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: signer.alg, kid }).setIssuer(iss).setAudience(aud);
  if (!("exp" in fields)) jwt.setExpirationTime("5m");
  else if (fields.exp !== undefined) jwt.setExpirationTime(fields.exp);
  return jwt.sign(signer.privateKey);
}

let issuer: Server;
let url: string;
let fetches = 0;
let answer: (response: ServerResponse) => void;
const serve = (...signers: Signer[]): void => {
  answer = (response) => response.end(JSON.stringify({ keys: signers.map(({ jwk }) => jwk) }));
};
let first: Signer;
let second: Signer;
const folder = mkdtempSync(join(tmpdir(), "warren-jwks-"));

beforeAll(async () => {
  [first, second] = await Promise.all([newSigner("first"), newSigner("second", "RS256")]);
  issuer = createServer((_, response) => {
    fetches++;
    answer(response);
  });
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`;
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  issuer.closeAllConnections();
  await new Promise((resolve) => issuer.close(resolve));
});

const open: TokenVerifier[] = [];
afterEach(() => {
  for (const verifier of open.splice(0)) verifier.close();
});
async function verifierFor(options: Partial<JwtOptions> = {}): Promise<TokenVerifier> {
  const jwt = { issuer: "https://issuer.test", audience: "warren", keys: { url }, ...options };
  const settings = AuthOptionsSchema.parse({ jwt });
  const verifier = await TokenVerifier.open(settings.jwt as NonNullable<typeof settings.jwt>, 1_000_000);
  open.push(verifier);
  fetches = 0;
  return verifier;
}
async function refusal(work: Promise<Principal>): Promise<[code: string, detail: string]> {
  const error = (await work.then(
    () => expect.fail("it was taken"),
    (thrown: unknown) => thrown,
  )) as HttpError;
  const challenge = error.headers["www-authenticate"];
  if (error.code === "UNAUTHENTICATED")
    expect(challenge).toBe(`Bearer realm="warren", error="invalid_token", error_description="${error.message}"`);
  else expect(challenge).toBeUndefined();
  return [error.code, error.message];
}

describe("tokens", () => {
  test("J1: a good token says who asks; its keys are fetched once", async () => {
    serve(first, second);
    const verifier = await verifierFor();
    expect(await verifier.verify(await tokenOf(first))).toEqual({ tenant: "acme", role: "run", key: "jwt:ada" });
    expect(await verifier.verify(await tokenOf(second, { ...GOOD, role: "read" }))).toMatchObject({ role: "read" });
    expect(fetches).toBe(1);
  });

  test("J1: anything wrong with a token is refused, by what it is", async () => {
    serve(first, second);
    const verifier = await verifierFor({ algorithms: ["ES256"] });
    const forged = await tokenOf(await newSigner("first"));
    const [header, , signature] = (await tokenOf(first)).split(".");
    const payload = Buffer.from(JSON.stringify({ ...GOOD, role: "admin" })).toString("base64url");
    const none = new UnsecuredJWT(GOOD).setIssuer("https://issuer.test").setAudience("warren").setExpirationTime("5m").encode();
    const shared = await new SignJWT(GOOD)
      .setProtectedHeader({ alg: "HS256", kid: "first" })
      .setIssuer("https://issuer.test")
      .setAudience("warren")
      .setExpirationTime("5m")
      .sign(Buffer.from(JSON.stringify(first.jwk)));
    const now = Math.floor(Date.now() / 1000);
    const cases: [token: string, detail: RegExp][] = [
      [await tokenOf(first, GOOD, { exp: now - 31 }), /has expired/],
      [await tokenOf(first, GOOD, { exp: undefined }), /claim exp is missing/],
      [await tokenOf(first, GOOD, { iss: "https://other.test" }), /claim iss /],
      [await tokenOf(first, GOOD, { aud: "other" }), /claim aud /],
      [await tokenOf(first, { ...GOOD, nbf: now + 1000 }), /claim nbf /],
      [await tokenOf(second), /algorithm that is not allowed/],
      [none, /algorithm that is not allowed|malformed/],
      [shared, /algorithm that is not allowed/],
      [forged, /signature is wrong/],
      [`${header}.${payload}.${signature}`, /signature is wrong/],
      [await tokenOf(first, GOOD, { kid: "unknown" }), /unknown key/],
      ["rubbish", /malformed/],
      ["a.b.c", /malformed/],
    ];
    for (const [token, detail] of cases) {
      const [code, said] = await refusal(verifier.verify(token));
      expect([code, said]).toEqual(["UNAUTHENTICATED", expect.stringMatching(detail)]);
    }
    expect(await verifier.verify(await tokenOf(first, GOOD, { exp: now - 5 }))).toBeDefined(); // within the clock's tolerance
  });

  test("J2: a role, and for every role but admin a tenant", async () => {
    serve(first);
    const verifier = await verifierFor();
    const principalOf = async (claims: JWTPayload): Promise<unknown> => verifier.verify(await tokenOf(first, claims));
    expect(await principalOf({ role: "admin" })).toEqual({ tenant: undefined, role: "admin", key: "jwt:" });
    expect(await principalOf({ role: ["x", "run", "read"], tenant: "b" })).toEqual({ tenant: "b", role: "run", key: "jwt:" });
    for (const claims of [
      {},
      { tenant: "acme" },
      { role: "run" },
      { role: "root", tenant: "acme" },
      { role: { run: true }, tenant: "acme" },
      { role: "run", tenant: "" },
      { role: "run", tenant: "a b" },
      { role: "run", tenant: ["acme"] },
      { role: "run", tenant: "x".repeat(129) },
      { role: "admin", tenant: "acme" },
      { role: ["run", "admin"], tenant: "acme" },
    ] as JWTPayload[])
      expect([claims, (await refusal(principalOf(claims) as Promise<Principal>))[0]]).toEqual([claims, "UNAUTHENTICATED"]);
  });

  test("how long what was verified is good is known", async () => {
    serve(first);
    const verifier = await verifierFor();
    const exp = Math.floor(Date.now() / 1000) + 100;
    expect(verifier.endOf(await verifier.verify(await tokenOf(first, GOOD, { exp })))).toBe((exp + 30) * 1000);
    expect(verifier.endOf({ tenant: "acme", role: "run", key: "jwt:ada" })).toBeUndefined();
  });

  test("claims may have other names", async () => {
    serve(first);
    const verifier = await verifierFor({ tenantClaim: "https://x/org", roleClaim: "roles" });
    expect(await verifier.verify(await tokenOf(first, { "https://x/org": "b", roles: ["read"] }))).toMatchObject({
      tenant: "b",
      role: "read",
    });
    expect((await refusal(verifier.verify(await tokenOf(first))))[0]).toBe("UNAUTHENTICATED");
    const inherited = await verifierFor({ tenantClaim: "constructor", roleClaim: "roles" });
    expect((await refusal(inherited.verify(await tokenOf(first, { roles: ["read"] }))))[1]).toMatch(/names no tenant/);
  });

  test("a new key is fetched when a token names it, but not for every token that names none", async () => {
    serve(first);
    const verifier = await verifierFor({ refetchAfterMs: 1 });
    await verifier.verify(await tokenOf(first));
    serve(second);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await verifier.verify(await tokenOf(second))).toMatchObject({ key: "jwt:ada" });
    expect((await refusal(verifier.verify(await tokenOf(first))))[1]).toMatch(/unknown key/);
    const patient = await verifierFor();
    await patient.verify(await tokenOf(second));
    for (let n = 0; n < 5; n++) await refusal(patient.verify(await tokenOf(second, GOOD, { kid: `x${n}` })));
    expect(fetches).toBe(1);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ["answers an error", (response) => response.writeHead(500).end()],
    ["redirects", (response) => response.writeHead(302, { location: "/" }).end()],
    ["answers no JSON", (response) => response.end("<html>")],
    ["answers no key set", (response) => response.end('{"keys": 1}')],
    ["answers too much", (response) => response.end("x".repeat(2 * 1024 * 1024))],
    ["hangs", () => undefined],
    ["hangs in the middle", (response) => response.write("{")],
    ["hangs up", (response) => response.destroy()],
  ])("J3: when the issuer %s, the token is not called wrong; and it is asked once, not by everybody", async (_, misbehave) => {
    answer = misbehave;
    const verifier = await verifierFor({ fetchTimeoutMs: 200 });
    const token = await tokenOf(first);
    expect(await refusal(verifier.verify(token))).toEqual(["UNAVAILABLE", expect.any(String)]);
    await Promise.all(Array.from({ length: 5 }, () => refusal(verifier.verify(token))));
    expect(fetches).toBe(1);
  });

  test("the keys may be in a file, which is read again when it changes", async () => {
    const file = join(folder, "jwks.json");
    const put = (...signers: Signer[]): void => writeFileSync(file, JSON.stringify({ keys: signers.map(({ jwk }) => jwk) }));
    put(first);
    const verifier = await verifierFor({ keys: { file } });
    expect(await verifier.verify(await tokenOf(first))).toMatchObject({ tenant: "acme" });
    put(first, second);
    await verifier.reload();
    expect(await verifier.verify(await tokenOf(second))).toMatchObject({ tenant: "acme" });
    writeFileSync(file, "{}");
    await verifier.reload();
    expect(await verifier.verify(await tokenOf(second))).toMatchObject({ tenant: "acme" });
    expect(fetches).toBe(0);
    await expect(verifierFor({ keys: { file } })).rejects.toThrow(/JSON Web Key Set/);
  });
});

describe("options", () => {
  const problemOf = (options: object): string => AuthOptionsSchema.safeParse(options).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join() ?? "ok"; // prettier-ignore
  const jwt = { issuer: "i", audience: "a", keys: { url: "https://x/jwks" } };

  test("something must be set up, and nothing unknown is", () => {
    expect(problemOf({ jwt })).toBe("ok");
    expect(problemOf({ keyFile: "k" })).toBe("ok");
    expect(problemOf({})).toMatch(/must name a keyFile/);
    expect(problemOf({ keyFile: "k", more: 1 })).toMatch(/more/);
  });

  test("no algorithm with a shared secret, and none without a signature", () => {
    for (const algorithm of ["HS256", "none", "None", ""])
      expect(problemOf({ jwt: { ...jwt, algorithms: [algorithm] } })).toMatch(/algorithms/);
    expect(problemOf({ jwt: { ...jwt, algorithms: [] } })).toMatch(/algorithms/);
  });

  test("keys are fetched over TLS, except from this machine", () => {
    for (const keys of [{ url: "http://x/jwks" }, { url: "file:///x" }, { url: "x" }, {}, { url: "https://x", file: "y" }])
      expect([keys, problemOf({ jwt: { ...jwt, keys } })]).toEqual([keys, expect.stringMatching(/keys/)]);
    for (const host of ["127.0.0.1", "localhost:99", "[::1]:99"])
      expect(problemOf({ jwt: { ...jwt, keys: { url: `http://${host}/` } } })).toBe("ok");
  });
});
