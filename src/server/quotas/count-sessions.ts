/** Counting sessions by listing them. */
import type { SessionService } from "../../host/session-service.ts";

const PAGE = 1000;

/**
 * @param labels - that the sessions have
 * @returns how many there are that are not archived, as the pages of the listing had them one after another. Waits for the store
 */
export async function countSessions(service: Pick<SessionService, "list">, labels: Record<string, string>): Promise<number> {
  let count = 0;
  let after: string | undefined;
  for (;;) {
    const page = await service.list({ labels, limit: PAGE, ...(after !== undefined && { after }) });
    count += page.length;
    after = page.at(-1)?.sessionId;
    if (page.length < PAGE || after === undefined) return count;
  }
}
