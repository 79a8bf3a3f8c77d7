/**
 * Sessions by the names that lines give them, in a store that outlives the run: the name is a label of the session, and so is the agent,
 * so that a later run finds the session and is not let on with another agent.
 */
import type { SessionService } from "../host/session-service.ts";
import type { SessionId } from "../protocol/ids.ts";
import { UsageError } from "./command-io.ts";
import { RUN_LABELS } from "./turn-line.ts";

const NAME = `${RUN_LABELS}session`;
const AGENT = `${RUN_LABELS}agent`;

type Labels = Readonly<Record<string, string>>;

export class StoredNames {
  readonly #service: Pick<SessionService, "list">;
  readonly #agent: string;

  /** @param agent - what this run calls its agent */
  constructor(service: Pick<SessionService, "list">, agent: string) {
    this.#service = service;
    this.#agent = agent;
  }

  /** @returns the labels a session of this name is to have */
  labelled(name: string, labels: Labels): Record<string, string> {
    return { ...labels, [NAME]: name, [AGENT]: this.#agent };
  }

  /**
   * The session of this name and the labels its lines gave it, if an earlier run created it. Rejects with SessionError
   *
   * @throws UsageError when that run had another agent
   */
  async find(name: string): Promise<{ readonly id: SessionId; readonly labels: Labels } | undefined> {
    const [stored] = await this.#service.list({ labels: { [NAME]: name }, limit: 1 });
    if (stored === undefined) return undefined;
    const { [NAME]: _name, [AGENT]: agent, ...labels } = stored.labels;
    if (agent !== this.#agent) {
      throw new UsageError(
        `option '--agent <agent>': session ${name} is in the store with agent ${agent ?? "unknown"}, not ${this.#agent}`,
      );
    }
    return { id: stored.sessionId, labels };
  }
}
