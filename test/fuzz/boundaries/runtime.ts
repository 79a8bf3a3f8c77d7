/** What a multi-agent runtime hands over: snapshots of sessions as bytes, and sessions of agents that get a receipt. */
import { createHash } from "node:crypto";

import { sessionOfSnapshot } from "../../../src/host/committed-snapshots.ts";
import { boundaryOf } from "../../../src/lane/boundary-state.ts";
import { SessionError } from "../../../src/protocol/errors.ts";
import { Session } from "../../../src/protocol/session-model.ts";
import type { Boundary } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import { mutateValue } from "../mutate-values.ts";
import { notPlain } from "../prototypes.ts";
import { mutateText } from "./text.ts";

/** Some hold texts of five million characters. */
const ALLOWED_BYTES = 200 * 1024 * 1024;
const NODES_MAX = 2_000_000;
const ID = "fuzzed";
const utf8 = new TextEncoder();

const texts = make.samplesOf(200, (random) => JSON.stringify({ ...make.sessionOf(random), id: ID }));
const snapshot: Boundary<Uint8Array> = {
  name: "committed snapshot",
  allowedBytes: ALLOWED_BYTES,
  make: (random) => {
    const [bytes, other] = [random.pick(texts), random.pick(texts)].map((text) => utf8.encode(text)) as [Uint8Array, Uint8Array];
    return random.oneIn(3) ? mutateBytes(random, bytes, other) : utf8.encode(mutateText(random, texts));
  },
  check: (bytes) => {
    const isRefusal = (error: unknown): boolean =>
      error instanceof SessionError && error.code === "AGENT_ERROR" && error.agentError?.kind === "internal_error";
    const taken = attempt(() => sessionOfSnapshot(ID, bytes), isRefusal);
    if (taken === undefined) return "refused";
    expectThat(taken.value.id === ID, "a session of that id");
    const problem = notPlain(taken.value, NODES_MAX);
    expectThat(problem === undefined, `a session that is no plain data: ${problem}`);
    return "accepted";
  },
};

const sessions = make.samplesOf(200, make.sessionOf);
const receipt: Boundary = {
  name: "session at a boundary",
  allowedBytes: ALLOWED_BYTES,
  make: (random) => mutateValue(random, random.pick(sessions)),
  check: (value) => {
    // What no schema takes is no session; the error goes to the agent's caller as it is described.
    const taken = attempt(
      () => boundaryOf(value),
      (error) => error instanceof Error,
    );
    if (taken === undefined) return "refused";
    const told = Session.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(taken.value.snapshot)));
    expectThat(taken.value.messageCount === told.messages.length, "as many messages");
    const digest = createHash("sha256").update(JSON.stringify(told.messages)).digest("hex");
    expectThat(taken.value.digest === digest, "a digest that anybody can compute from the snapshot");
    return "accepted";
  },
};

export const RUNTIME: readonly Boundary<never>[] = [snapshot, receipt] as readonly Boundary[] as readonly Boundary<never>[];
