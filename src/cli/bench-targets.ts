/** What `warren bench` puts its turns through: a host in this process, or a server. Sessions it makes are gone at the end. */
import type { WarrenClient } from "../client/index.ts";
import { EphemeralSessionService } from "../host/ephemeral-service.ts";
import { agentModules, openingRefusal } from "./agent-option.ts";
import { remoteRefusal } from "./remote.ts";

export interface BenchTarget {
  /** Where the turns run, for the report. */
  readonly name: string;
  readonly lanes: number;
  turn(session: number): Promise<unknown>;
  /** Archives what it made. */
  close(): Promise<void>;
}

/** What it makes is known by this. */
const LABELS = { "bench.made-by": "warren bench" };
/** Sessions made or archived at a time over HTTP. */
const AT_ONCE = 32;

/** @throws UsageError when the agent does not load */
export async function openLocalTarget(agent: string, lanes: number | "auto", sessions: number, prompt: string): Promise<BenchTarget> {
  let service: EphemeralSessionService;
  try {
    service = await EphemeralSessionService.open({ agent: agentModules([agent]), lanes: { count: lanes } });
  } catch (error) {
    throw openingRefusal(error, agent);
  }
  try {
    const made = await Promise.all(Array.from({ length: sessions }, () => service.createSession({ prompt: "", initialTurn: "defer" })));
    const ids = made.map(({ sessionId }) => sessionId);
    return {
      name: `a host in this process, agent ${agent}`,
      lanes: service.inspect().lanes.length,
      turn: (session) => service.startTurn(ids[session] as string, { prompt }),
      close: () => service.shutdown({ deadlineMs: 0 }),
    };
  } catch (error) {
    await service.shutdown({ deadlineMs: 0 });
    throw error;
  }
}

/**
 * @param giveUp - turns that still run are not waited for, and end with the target
 * @throws UsageError when the server does not answer, or does not let the caller in
 */
export async function openRemoteTarget(
  client: WarrenClient,
  url: string,
  agent: string | undefined,
  sessions: number,
  prompt: string,
  giveUp: AbortSignal,
): Promise<BenchTarget> {
  const ids: string[] = [];
  const end = async (id: string): Promise<void> => {
    if (giveUp.aborted) await client.interrupt(id).catch(() => {}); // its turn would outlive it; perhaps none runs
    await client.archive(id);
  };
  const close = async (): Promise<void> => {
    for (let at = 0; at < ids.length; at += AT_ONCE) await Promise.allSettled(ids.slice(at, at + AT_ONCE).map(end));
  };
  try {
    const make = () => client.createSession({ initialTurn: "defer", agent, labels: LABELS });
    for (let at = 0; at < sessions; at += AT_ONCE) {
      const made = await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, sessions - at) }, make));
      for (const one of made) if (one.status === "fulfilled") ids.push(one.value.sessionId);
      for (const one of made) if (one.status === "rejected") throw one.reason;
    }
    const lanes = await client.host().then(
      (report) => report.lanes.length,
      () => 0, // only admins may ask
    );
    // Neither listeners nor `cancelOnDisconnect`: with either a turn is a stream, which costs more than its answer alone.
    const turn = (session: number) => client.startTurn(ids[session] as string, { prompt }, { signal: giveUp });
    return { name: url, lanes, turn, close };
  } catch (error) {
    await close();
    throw remoteRefusal(error) ?? error;
  }
}
