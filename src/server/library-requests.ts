/** From a body that was checked to the library's request, which is checked once more there. */
import type { z } from "@hono/zod-openapi";

import { refuse } from "../protocol/parse.ts";
import type { CreateSessionRequest, StartTurnRequest } from "../protocol/requests.ts";
import type { Principal } from "./principal.ts";
import type { CreateSessionBody, StartTurnBody } from "./schemas.ts";
import type { Tenancy } from "./tenancy.ts";

/** Waits for the store when a session is to be resumed. @throws SessionError INVALID_PARAMS, SESSION_NOT_FOUND */
export async function createRequestOf(
  tenancy: Tenancy,
  principal: Principal,
  body: z.infer<typeof CreateSessionBody>,
): Promise<CreateSessionRequest> {
  const { prompt, cancelOnDisconnect: _, ...others } = body;
  if (prompt === undefined && others.initialTurn !== "defer") refuse("request.prompt", 'is needed, unless initialTurn is "defer"');
  const labels = tenancy.labelsFor(principal, others.labels as Record<string, string> | undefined);
  await tenancy.assertMayResume(principal, others.build);
  return { ...others, labels, prompt: prompt ?? "" } as CreateSessionRequest;
}

export function turnRequestOf(body: z.infer<typeof StartTurnBody>): StartTurnRequest {
  const { cancelOnDisconnect: _, ...request } = body;
  return request;
}
