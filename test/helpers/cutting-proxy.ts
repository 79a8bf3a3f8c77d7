/** A proxy between client and server that ends connections after a random number of bytes, as a bad network would. */
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";

export interface CuttingProxy {
  readonly url: string;
  /** Connections ended so far. */
  readonly cuts: number;
  close(): Promise<void>;
}

/**
 * @param random - from 0 to 1
 * @param bytesMax - of the server's answers that pass before a connection is cut
 */
export async function cuttingProxy(serverPort: number, random: () => number, bytesMax: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let cuts = 0;
  const proxy = createServer((client) => {
    const server = connect(serverPort, "127.0.0.1");
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    let left = Math.floor(random() * bytesMax);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", end).on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on("data", (piece) => server.write(piece));
    server.on("data", (piece) => {
      if (client.destroyed) return;
      if (piece.length < left) {
        left -= piece.length;
        client.write(piece);
      } else {
        cuts++;
        client.write(piece.subarray(0, left), end); // within a line, a character, or the headers
      }
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    get cuts() {
      return cuts;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => proxy.close(() => resolve()));
    },
  };
}
