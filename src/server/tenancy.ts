/**
 * Whose sessions are whose. A session's tenant stands in a label that only the server writes.
 *
 *   N1. To a principal with a tenant, other tenants' sessions do not exist: SESSION_NOT_FOUND, as for an id that was never given.
 *   N2. No caller can set, change or forge the label.
 *   N3. A session that is resumed takes the place of the one of its id: a principal with a tenant resumes its own.
 */
import { LRUCache } from "lru-cache";

import { notFound } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import { refuse } from "../protocol/parse.ts";
import { resumedIdOf } from "../protocol/requests.ts";
import { TENANT_LABEL } from "../protocol/tenant.ts";
import type { Principal } from "./principal.ts";
import type { ServableService } from "./service.ts";

export { TENANT_LABEL };
/** Labels that callers cannot set. */
const RESERVED = "warren.";
/** Sessions whose tenant is remembered. */
const REMEMBERED = 100_000;
/** Of a session without one. */
const NOBODY = "";

type Labels = Record<string, string>;

export class Tenancy {
  readonly #service: Pick<ServableService, "read">;
  /** A session's tenant never changes, unless an admin resumes it. */
  readonly #tenants = new LRUCache<SessionId, string>({ max: REMEMBERED });

  constructor(service: Pick<ServableService, "read">) {
    this.#service = service;
  }

  /** N1. Waits for the store when the session is not live and was not asked for lately. @throws SessionError SESSION_NOT_FOUND */
  async assertOwn({ tenant }: Principal, id: SessionId): Promise<void> {
    if (tenant === undefined) return;
    let owner = this.#tenants.get(id);
    if (owner === undefined) {
      owner = (await this.#service.read(id)).state.labels[TENANT_LABEL] ?? NOBODY;
      this.#tenants.set(id, owner);
    }
    if (owner !== tenant) throw notFound(id);
  }

  /**
   * N3. Waits as assertOwn.
   *
   * @param build - of a create request, as it came
   * @throws SessionError SESSION_NOT_FOUND, INVALID_PARAMS
   */
  async assertMayResume(principal: Principal, build: unknown): Promise<void> {
    if (typeof build !== "object" || build === null) return;
    const id = resumedIdOf(build as Record<string, unknown>);
    if (id === undefined) return;
    if (principal.tenant === undefined) this.#tenants.delete(id);
    else await this.assertOwn(principal, id);
  }

  /** @returns the labels of a session that this principal creates. @throws SessionError INVALID_PARAMS for a reserved one (N2) */
  labelsFor({ tenant }: Principal, labels: Labels | undefined): Labels | undefined {
    for (const name of Object.keys(labels ?? {})) {
      if (name.startsWith(RESERVED)) refuse(`request.labels.${name}`, `labels that begin with ${RESERVED} are the server's`);
    }
    return tenant === undefined ? labels : { ...labels, [TENANT_LABEL]: tenant };
  }

  /** @returns the labels of a fork that is to have others than its original: whose it is does not change. @throws as labelsFor */
  async labelsOfFork(principal: Principal, id: SessionId, labels: Labels): Promise<Labels> {
    const given = this.labelsFor(principal, labels) ?? {};
    const tenant = principal.tenant ?? (await this.#service.read(id)).state.labels[TENANT_LABEL];
    return tenant === undefined ? given : { ...given, [TENANT_LABEL]: tenant };
  }

  /** @returns the labels that a list is filtered by. @throws SessionError INVALID_PARAMS for a reserved one of a principal with a tenant */
  filterFor(principal: Principal, labels: Labels | undefined): Labels | undefined {
    return principal.tenant === undefined ? labels : this.labelsFor(principal, labels);
  }

  /** What this principal sees of a session: without the label, if it is its own. */
  shown<T extends { labels: Labels }>({ tenant }: Principal, view: T): T {
    if (tenant === undefined || view.labels[TENANT_LABEL] === undefined) return view;
    const { [TENANT_LABEL]: _, ...labels } = view.labels;
    return { ...view, labels };
  }
}
