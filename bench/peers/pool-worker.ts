/** Task of piscina's and tinypool's workers. */
export { answer as default } from "./call-peer.ts";
