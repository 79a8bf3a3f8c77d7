/** What is remembered of a request with a key: that it was begun, or how it ended. */
import * as z from "zod";

import { ProblemSchema } from "../problems.ts";

const Begun = z.strictObject({
  state: z.literal("begun"),
  fingerprint: z.string(),
  /** What has to be the same when it is done again, such as the id of the session it creates. */
  note: z.string().optional(),
});
const Ended = z.strictObject({ state: z.literal("ended"), fingerprint: z.string(), value: z.unknown() });
const Failed = z.strictObject({ state: z.literal("failed"), fingerprint: z.string(), problem: ProblemSchema });

export const RecordSchema = z.discriminatedUnion("state", [Begun, Ended, Failed]);
export type OnceRecord = z.infer<typeof RecordSchema>;

export function encodeRecord(record: OnceRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

/** @returns undefined for bytes that are no record: whoever wrote them, the request is a new one then */
export function decodeRecord(bytes: Uint8Array): OnceRecord | undefined {
  try {
    return RecordSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}
