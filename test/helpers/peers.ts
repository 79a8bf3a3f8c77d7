/** Sessions with names, for tests of what goes between them (fixtures/peers.mjs). */
import type { CreateSessionRequest, HostSnapshot, PeerIngress, SessionService } from "../../dist/src/index.js";
import type { SessionHost } from "../../dist/src/internal.js";
import { deferred } from "./hosts.ts";

export const PEERS = new URL("../fixtures/peers.mjs", import.meta.url);

type Step = readonly [verb: string, ...args: unknown[]];
type Service = Pick<SessionService, "createSession" | "startTurn" | "commsRuntime"> & { inspect(): HostSnapshot };

let names = 0;
/** @returns names that no other test of the file uses */
export const fresh = (...of: string[]): string[] => of.map((name) => `${name}-${names++}`);

/** A request for a session of that name. */
export const peer = (
  commsName: string,
  trustedPeers: string[] = [],
  extra: Record<string, unknown> = {},
): Partial<CreateSessionRequest> => ({
  build: { commsName, trustedPeers, ...extra },
});

/** Run steps in a turn. @returns what each gave */
export async function run(service: Pick<SessionService, "startTurn">, id: string, ...steps: Step[]): Promise<unknown[]> {
  return JSON.parse((await service.startTurn(id, { prompt: JSON.stringify(steps) })).text) as unknown[];
}

/** @returns two sessions that trust each other, in different lanes if there are two */
export async function pair(service: Service): Promise<{ a: string; b: string; ids: [string, string] }> {
  const [a, b] = fresh("a", "b") as [string, string];
  return { a, b, ids: [await deferred(service, peer(a, [b])), await deferred(service, peer(b, [a]))] };
}

/** What waits for a session, also while a turn runs. It opens the session's handle. */
export async function ingress(service: Service, id: string): Promise<PeerIngress> {
  const comms = await service.commsRuntime(id);
  return (await comms?.peerIngressRuntimeSnapshot()) as PeerIngress;
}

const hostOf = (service: Service): SessionHost => Reflect.get(service, "host") as SessionHost;
export const laneOf = (service: Service, id: string): number => hostOf(service).live(id).lane.number;

/** Send a live session to the other lane. */
export function move(service: Service, id: string): Promise<boolean> {
  const { registry, pool, mover } = hostOf(service);
  const entry = registry.find(id);
  const to = [...pool].find((lane) => lane !== entry?.lane);
  return entry === undefined || to === undefined ? Promise.resolve(false) : mover.move(entry, to, "test");
}
