/** Which pages of other sites may call: one schema, checked when a server starts. */
import * as z from "zod";

export const OriginsSchema = z
  .array(z.string().refine(isOrigin, "must be an origin: https://example.com, without a path, or http with a port"))
  .max(100)
  .default([]);

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}
