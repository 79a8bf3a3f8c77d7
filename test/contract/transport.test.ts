import { MessageChannel } from "node:worker_threads";

import { memoryPipe } from "../../src/transport/memory-transport.ts";
import { PortTransport } from "../../src/transport/port-transport.ts";
import type { PortTransportOptions } from "../../src/transport/port-transport.ts";
import type { FrameTransport } from "../../src/transport/transport.ts";
import { testFrameTransport } from "./transport.ts";

function portPipe(options?: PortTransportOptions): [FrameTransport, FrameTransport] {
  const { port1, port2 } = new MessageChannel();
  return [new PortTransport(port1, options), new PortTransport(port2, options)];
}

testFrameTransport("PortTransport", () => portPipe());
testFrameTransport("PortTransport that polls", () => portPipe({ poll: true }));
testFrameTransport("memory pipe", memoryPipe);
