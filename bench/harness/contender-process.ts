/** A contender's process: opens it, measures when asked, closes it. The driver talks to it over the process's IPC channel. */
import { encodeIntoCompressedBase64 } from "hdr-histogram-js";

import { CASES } from "../cases/index.ts";
import type { Subject } from "./case.ts";
import type { Answer, Order } from "./contender-link.ts";

const [caseName, contenderName] = process.argv.slice(2);
const wanted = CASES.find(({ name }) => name === caseName);
const contender = wanted?.contenders.find(({ name }) => name === contenderName);
let subject: Subject | undefined;

async function obey(order: Order): Promise<Answer> {
  switch (order.do) {
    case "open": {
      const scenario = wanted?.scenarios.find(({ name }) => name === order.scenario);
      if (contender === undefined || scenario === undefined) throw new Error(`no ${contenderName} in ${caseName}/${order.scenario}`);
      subject = await contender.open(scenario.parameters);
      return { setup: subject.setup };
    }
    case "round": {
      const measured = subject as Subject;
      globalThis.gc?.(); // what an earlier round left is not this one's
      await measured.leadIn?.();
      const round = await measured.round();
      return { figures: round.figures, latencies: round.latencies && encodeIntoCompressedBase64(round.latencies) };
    }
    case "close":
      await subject?.close();
      subject = undefined;
      return {};
    default:
      return order satisfies never;
  }
}

process.on("message", (order: Order) => {
  obey(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.on("disconnect", () => process.exit(0)); // the driver is gone
