/**
 * Sessions and turns as a tenant's quotas allow them: what every way into the server starts them by.
 *
 *   G1. What is refused has reached no session.
 *   G2. A turn counts until it has ended, whether or not somebody still waits for it; a session counts as soon as it is there, whatever becomes
 *       of its first turn.
 */
import type { SessionService } from "../../host/session-service.ts";
import type { SessionId } from "../../protocol/ids.ts";
import type { CallOptions, CreateSessionRequest, StartTurnRequest } from "../../protocol/requests.ts";
import type { RunResult } from "../../protocol/views.ts";
import type { TenantQuotas } from "./tenant-quotas.ts";

/** Who asks, and what is told when the tenant has what it needs: the headers of an answer go out soon after. */
export interface Limited {
  readonly quotas: TenantQuotas;
  readonly tenant: string | undefined;
  readonly onTaken?: (() => void) | undefined;
}

/** As `createSession`. Rejects with HttpError RATE_LIMITED and QUOTA_EXCEEDED, and SessionError HOST_OVERLOADED, too */
export function createWithin(
  { quotas, tenant, onTaken }: Limited,
  service: Pick<SessionService, "createSession">,
  request: CreateSessionRequest,
  call: CallOptions = {},
): Promise<RunResult> {
  return quotas.asSession(tenant, (created) => {
    const create = (): Promise<RunResult> => {
      onTaken?.();
      const onAdmitted = (ticket: number): void => {
        created();
        call.onAdmitted?.(ticket);
      };
      return service.createSession(request, { ...call, onAdmitted });
    };
    return request.initialTurn === "defer" ? create() : quotas.asTurn(tenant, create);
  });
}

/** As `startTurn`. Rejects with HttpError RATE_LIMITED and QUOTA_EXCEEDED, and SessionError HOST_OVERLOADED, too */
export function startWithin(
  { quotas, tenant, onTaken }: Limited,
  service: Pick<SessionService, "startTurn">,
  id: SessionId,
  request: StartTurnRequest,
  call: CallOptions = {},
): Promise<RunResult> {
  return quotas.asTurn(tenant, () => {
    onTaken?.();
    return service.startTurn(id, request, call);
  });
}

/** As `archive`: the tenant may have another session then. */
export function archiveWithin(
  { quotas, tenant }: Limited,
  service: Pick<SessionService, "archive" | "list">,
  id: SessionId,
): Promise<void> {
  return quotas.asEnd(
    tenant,
    id,
    () => isListed(service, id),
    () => service.archive(id),
  );
}

/** Archiving says nothing of a session that is archived already. */
async function isListed(service: Pick<SessionService, "list">, id: SessionId): Promise<boolean> {
  const ahead = id.slice(0, -1); // of all ids that are not this one's neighbours by one character
  const [first] = await service.list({ limit: 1, ...(ahead !== "" && { after: ahead }) });
  return first?.sessionId === id;
}
