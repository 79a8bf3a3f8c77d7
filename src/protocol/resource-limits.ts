/** What bounds the V8 heap and stack of a lane's thread. Buffers and WebAssembly memory are not in it. */
import * as z from "zod";

const megabytes = z.number().positive().optional();

export const ResourceLimitsSchema = z.strictObject({
  maxOldGenerationSizeMb: megabytes,
  maxYoungGenerationSizeMb: megabytes,
  stackSizeMb: megabytes,
});

/** Mebibytes; what is not named is V8's choice. */
export interface ResourceLimits {
  maxOldGenerationSizeMb?: number | undefined;
  maxYoungGenerationSizeMb?: number | undefined;
  stackSizeMb?: number | undefined;
}

/** @returns of each limit the last that is said */
export function limitsOf(...said: readonly (ResourceLimits | undefined)[]): ResourceLimits {
  const limits: ResourceLimits = {};
  for (const those of said) {
    for (const name of Object.keys(ResourceLimitsSchema.shape) as (keyof ResourceLimits)[]) {
      if (those?.[name] !== undefined) limits[name] = those[name];
    }
  }
  return limits;
}
