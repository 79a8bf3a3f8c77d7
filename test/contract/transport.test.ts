import { MessageChannel } from "node:worker_threads";

import { Intake } from "../../src/transport/intake.ts";
import { memoryPipe } from "../../src/transport/memory-transport.ts";
import { POLL_BALANCED, POLL_LOW, Poller } from "../../src/transport/poller.ts";
import type { PollPolicy } from "../../src/transport/poller.ts";
import { PortTransport } from "../../src/transport/port-transport.ts";
import type { FrameTransport } from "../../src/transport/transport.ts";
import { testFrameTransport } from "./transport.ts";

function portPipe(policy?: PollPolicy, intake?: Intake): [FrameTransport, FrameTransport] {
  const { port1, port2 } = new MessageChannel();
  const poller = policy && new Poller(policy);
  return [new PortTransport(port1, poller, intake), new PortTransport(port2, poller, intake)];
}

/** A clock that jumps: every slice is over as soon as it began. */
function everLater(): () => number {
  let nowMs = 0;
  return () => (nowMs += 1000);
}

testFrameTransport("PortTransport", () => portPipe());
testFrameTransport("PortTransport that polls", () => portPipe(POLL_LOW));
testFrameTransport("PortTransport that polls for answers", () => portPipe(POLL_BALANCED));
testFrameTransport("PortTransport behind an intake", () => portPipe(undefined, new Intake()));
testFrameTransport("PortTransport behind an intake that has never time", () => portPipe(undefined, new Intake(everLater())));
testFrameTransport("memory pipe", memoryPipe);
