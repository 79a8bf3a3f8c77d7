/** Every peer and limit of a plain call, for the cases that measure calls. */
import type { ContenderKind } from "../harness/case.ts";
import type { CallPeer } from "./call-peer.ts";
import { openBareEcho, openComlink, openFork, openInProcess } from "./messages.ts";
import { openPiscina, openTinypool } from "./pools.ts";

interface NamedCallPeer {
  readonly name: string;
  readonly kind: ContenderKind;
  /** @param inFlight - calls at once that it will get. @param prompt - of each */
  readonly open: (inFlight: number, prompt?: string) => Promise<CallPeer>;
}

export const CALL_PEERS: readonly NamedCallPeer[] = [
  { name: "piscina", kind: "peer", open: openPiscina },
  { name: "tinypool", kind: "peer", open: openTinypool },
  { name: "comlink", kind: "peer", open: openComlink },
  { name: "child process", kind: "peer", open: openFork },
  { name: "bare echo", kind: "limit", open: openBareEcho },
  { name: "in process", kind: "limit", open: openInProcess },
];
