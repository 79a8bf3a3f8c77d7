import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Permit } from "../../src/core/admission.ts";
import { Capacity } from "../../src/core/admission.ts";

describe("admission", () => {
  test("C1: whatever is taken and released in whatever order, held stays within max and returns to zero", () => {
    const steps = fc.array(fc.oneof(fc.constant("take" as const), fc.nat(20)), { maxLength: 100 });
    fc.assert(
      fc.property(fc.nat(5), steps, (max, sequence) => {
        const capacity = new Capacity(max);
        const permits: Permit[] = [];
        const out = new Set<Permit>();
        for (const step of sequence) {
          if (step === "take") {
            const permit = capacity.tryTake();
            expect(permit === undefined).toBe(out.size === max);
            if (permit) out.add(permits[permits.push(permit) - 1] as Permit);
          } else if (permits.length > 0) {
            // Also one that was released before.
            const permit = permits[step % permits.length] as Permit;
            permit.release();
            out.delete(permit);
          }
          expect(capacity.held).toBe(out.size);
        }
        for (const permit of permits) permit.release();
        expect(capacity.held).toBe(0);
      }),
    );
  });

  test("C1: a permit released twice gives one place back", () => {
    const capacity = new Capacity(2);
    const first = capacity.tryTake();
    capacity.tryTake();
    first?.release();
    first?.release();
    expect(capacity.held).toBe(1);
  });
});
