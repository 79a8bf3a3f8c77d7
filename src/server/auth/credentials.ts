/** How callers say who they are, and how they are told that it is not enough. */
import { HttpError } from "../problems.ts";

const REALM = 'Bearer realm="warren"';
const BEARER = /^bearer +([\w.~+/-]+=*) *$/i;

/** @returns undefined without the header. @throws HttpError UNAUTHENTICATED when it is not `Bearer <token>` */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const [, token] = BEARER.exec(authorization) ?? [];
  if (token === undefined) throw invalidToken("the Authorization header is not Bearer and a token");
  return token;
}

/** RFC 6750: nothing was sent, so nothing is wrong with it. */
export function noCredentials(): HttpError {
  return new HttpError("UNAUTHENTICATED", "this needs a key or a token: Authorization: Bearer …", {
    headers: { "www-authenticate": REALM },
  });
}

/** @param why - plain ASCII, of our own words */
export function invalidToken(why: string): HttpError {
  return new HttpError("UNAUTHENTICATED", why, {
    headers: { "www-authenticate": `${REALM}, error="invalid_token", error_description="${why}"` },
  });
}

/** @param role - that would do */
export function insufficientRole(role: string): HttpError {
  return new HttpError("FORBIDDEN", `this needs the role ${role}`, {
    headers: { "www-authenticate": `${REALM}, error="insufficient_scope", scope="${role}"` },
  });
}
