/** A worker_threads MessagePort as a comlink endpoint, and the one place that knows comlink's ways with ports. */
import type { MessagePort } from "node:worker_threads";

import * as comlink from "comlink";

type Listener = (event: { data: unknown }) => void;

/** comlink speaks to DOM-like event targets; a Node port emits bare messages. */
function endpointOf(port: MessagePort): comlink.Endpoint {
  const adapted = new Map<unknown, (data: unknown) => void>();
  return {
    postMessage: (message: unknown, transfer?: readonly unknown[]) => port.postMessage(message, transfer as never),
    addEventListener: (_type: string, listener: unknown) => {
      const handle = (data: unknown): void => {
        if (typeof listener === "function") (listener as Listener)({ data });
        else (listener as { handleEvent: Listener }).handleEvent({ data });
      };
      adapted.set(listener, handle);
      port.on("message", handle);
    },
    removeEventListener: (_type: string, listener: unknown) => {
      const handle = adapted.get(listener);
      if (handle) port.off("message", handle);
      adapted.delete(listener);
    },
    start: () => port.start(),
  };
}

/** Offer `api` on the port until it closes. */
export function exposeOn(port: MessagePort, api: object): void {
  comlink.expose(api, endpointOf(port));
}

/**
 * The api on the other side of the port. A call to a thread that has died never settles: race every one with the loss of its lane.
 */
export function connectTo<T>(port: MessagePort): comlink.Remote<T> {
  return comlink.wrap<T>(endpointOf(port));
}

/** Send a port along with a call. */
export function handOver(port: MessagePort): MessagePort {
  return comlink.transfer(port, [port as never]);
}
