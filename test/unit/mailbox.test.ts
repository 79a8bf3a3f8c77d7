import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Mailbox } from "../../src/core/mailbox.ts";

describe("Mailbox", () => {
  test("it behaves as an array with a bound", () => {
    const steps = fc.array(fc.constantFrom("push", "push", "push", "shift", "shift", "drain"), { maxLength: 200 });
    fc.assert(
      fc.property(fc.nat(10), steps, (limit, sequence) => {
        const mailbox = new Mailbox<number>(limit);
        const model: number[] = [];
        let next = 0;
        for (const step of sequence) {
          if (step === "push") {
            const fits = model.length < limit;
            expect(mailbox.push(++next)).toBe(fits);
            if (fits) model.push(next);
          } else if (step === "shift") expect(mailbox.shift()).toBe(model.shift());
          else expect(mailbox.drain()).toEqual(model.splice(0));
          expect(mailbox.size).toBe(model.length);
        }
      }),
    );
  });

  test("the order holds over many thousands with a backlog, where consumed places are given back", () => {
    const mailbox = new Mailbox<number>(5000);
    const shifted: (number | undefined)[] = [];
    let pushed = 0;
    for (let round = 0; round < 20; round++) {
      while (mailbox.push(pushed)) pushed++;
      expect(mailbox.size).toBe(5000);
      for (let i = 0; i < 3000; i++) shifted.push(mailbox.shift());
    }
    expect([...shifted, ...mailbox.drain()]).toEqual(Array.from({ length: pushed }, (_, index) => index));
    expect(mailbox.shift()).toBeUndefined();
  });
});
