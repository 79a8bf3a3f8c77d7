/** Warren with a store as a contender: a host over sessions that lie in a folder already. */
import type { PersistenceOptions, SessionServiceOptions } from "../../src/index.ts";
import { PersistentSessionService } from "../../src/index.ts";
import type { Lengths } from "./stored-sessions.ts";
import { laySessions } from "./stored-sessions.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Two lanes unless told otherwise. */
export function openHost(
  path: string,
  { agentName = "noop", ...options }: Partial<SessionServiceOptions & PersistenceOptions> & { readonly agentName?: string } = {},
): Promise<PersistentSessionService> {
  const agent = new URL(`../agents/${agentName}.js`, import.meta.url);
  return PersistentSessionService.open({ agent, store: { kind: "lmdb", path }, lanes: { count: 2 }, ...options });
}

export interface DurableWarren {
  readonly service: PersistentSessionService;
  /** By the order of `lengths`. */
  readonly ids: readonly (readonly string[])[];
  readonly close: () => Promise<void>;
}

export async function openDurableWarren(
  lengths: Lengths,
  options: Partial<SessionServiceOptions & PersistenceOptions> & { readonly agentName?: string } = {},
): Promise<DurableWarren> {
  const folder = await temporaryFolder();
  const ids = await laySessions(folder.path, lengths);
  const service = await openHost(folder.path, options);
  return {
    service,
    ids,
    close: async () => {
      await service.shutdown();
      await folder.remove();
    },
  };
}
