import { MessageChannel } from "node:worker_threads";

import { memoryPipe } from "../../src/transport/memory-transport.ts";
import { POLL_BALANCED, POLL_LOW, Poller } from "../../src/transport/poller.ts";
import type { PollPolicy } from "../../src/transport/poller.ts";
import { PortTransport } from "../../src/transport/port-transport.ts";
import type { FrameTransport } from "../../src/transport/transport.ts";
import { testFrameTransport } from "./transport.ts";

function portPipe(policy?: PollPolicy): [FrameTransport, FrameTransport] {
  const { port1, port2 } = new MessageChannel();
  const poller = policy && new Poller(policy);
  return [new PortTransport(port1, poller), new PortTransport(port2, poller)];
}

testFrameTransport("PortTransport", () => portPipe());
testFrameTransport("PortTransport that polls", () => portPipe(POLL_LOW));
testFrameTransport("PortTransport that polls for answers", () => portPipe(POLL_BALANCED));
testFrameTransport("memory pipe", memoryPipe);
