/** Messages as bytes: JSON text, or msgpack, as the client chose by subprotocol. */
import { decodeValue, encodeValue } from "../../transport/codec.ts";
import type { ServerMessage } from "./messages.ts";

/** Subprotocols, the preferred one first. */
export const PROTOCOLS = ["warren.json", "warren.msgpack"] as const;

export interface Wire {
  encode(message: ServerMessage): string | Uint8Array;
  /** @throws what the decoder says of bytes that are none of its own */
  decode(data: string | Uint8Array): unknown;
}

const JSON_WIRE: Wire = {
  encode: (message) => JSON.stringify(message),
  decode: (data) => JSON.parse(typeof data === "string" ? data : Buffer.from(data).toString("utf8")) as unknown,
};

const MSGPACK_WIRE: Wire = {
  encode: (message) => new Uint8Array(encodeValue(message)), // the encoder goes on using its buffer
  decode: (data) => decodeValue(typeof data === "string" ? Buffer.from(data, "utf8") : data),
};

export function wireOf(protocol: string): Wire {
  return protocol === "warren.msgpack" ? MSGPACK_WIRE : JSON_WIRE;
}
