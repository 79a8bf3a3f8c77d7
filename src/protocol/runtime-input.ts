/** What a runtime is given to run, as its caller says it. */
import * as z from "zod";

import type { InputId, RunId } from "./ids.ts";
import type { StartTurnRequest } from "./requests.ts";
import { StartTurnRequestSchema } from "./requests.ts";
import type { RunApplyBoundary } from "./runtime.ts";
import { RunApplyBoundaryParam, RunIdParam } from "./runtime.ts";

/** The input's own id stands for the idempotency key, it waits its turn by itself, and functions cannot be kept. */
const NOT_OF_AN_INPUT = { onEvent: true, onBusy: true, idempotencyKey: true, idempotencyScope: true } as const;

export const RuntimeInputSchema = StartTurnRequestSchema.omit(NOT_OF_AN_INPUT).extend({
  inputId: RunIdParam.optional(),
  runId: RunIdParam.optional(),
  boundary: RunApplyBoundaryParam.optional(),
});

export interface RuntimeInput extends Omit<StartTurnRequest, keyof typeof NOT_OF_AN_INPUT> {
  /** While an input of this id waits or runs, it is this one. Default: a new id. */
  inputId?: InputId | undefined;
  /** Default: a new id. */
  runId?: RunId | undefined;
  /** Where in the run it is applied; echoed in the receipt. Default "run_start". */
  boundary?: RunApplyBoundary | undefined;
}

export const RetireOptionsSchema = z.strictObject({ deadlineMs: z.number().nonnegative().max(2_147_483_647).optional() });
