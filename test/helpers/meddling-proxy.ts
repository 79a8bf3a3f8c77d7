/** A proxy between a page and a server, which meddles with requests that a test names. */
import type { IncomingMessage } from "node:http";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

/** "hold": until the next look, which comes soon. A number: an answer of that status, without a body. */
export type Meddling = "pass" | "hold" | number;

export interface MeddlingProxy {
  readonly url: string;
  /** What to do with a request. Asked again for one that is held. */
  meddle: (method: string, path: string) => Meddling;
  /** Pass on no more of the answers of this method and path that are under way. */
  stall(method: string, path: RegExp): void;
  /** End them. */
  cut(method: string, path: RegExp): void;
  close(): Promise<void>;
}

const LOOK_MS = 10;

export async function meddlingProxy(serverPort: number): Promise<MeddlingProxy> {
  const open = new Set<IncomingMessage>();
  const answers = new Map<IncomingMessage, IncomingMessage>();
  const underWay = (method: string, path: RegExp): IncomingMessage[] =>
    [...open].filter((incoming) => incoming.method === method && path.test(incoming.url ?? ""));
  const proxy: MeddlingProxy = {
    url: "",
    meddle: () => "pass",
    stall: (method, path) => underWay(method, path).forEach((incoming) => answers.get(incoming)?.unpipe()),
    cut: (method, path) => underWay(method, path).forEach((incoming) => incoming.socket.destroy()),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  const server = createServer((incoming, outgoing) => {
    const { method = "", url: path = "", headers } = incoming;
    const pass = (): void => {
      if (outgoing.destroyed) return;
      const meddling = proxy.meddle(method, path);
      if (meddling === "hold") return void setTimeout(pass, LOOK_MS);
      if (meddling !== "pass") return void outgoing.writeHead(meddling).end();
      const onward = request({ port: serverPort, host: "127.0.0.1", method, path, headers }, (answer) => {
        answers.set(incoming, answer);
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        outgoing.flushHeaders();
        answer.on("error", () => outgoing.destroy()).pipe(outgoing);
      });
      onward.on("error", () => outgoing.destroy());
      outgoing.once("close", () => onward.destroy());
      incoming.pipe(onward);
    };
    open.add(incoming);
    outgoing.once("close", () => {
      open.delete(incoming);
      answers.delete(incoming);
    });
    pass();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(proxy, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
