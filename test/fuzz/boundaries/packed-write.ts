/** A session's write as it crosses to the store's thread, for a store that wants it unpacked. */
import type { PackedWrite } from "../../../src/protocol/store-calls.ts";
import { StoreError } from "../../../src/protocol/store-error.ts";
import { encodeValue } from "../../../src/transport/codec.ts";
import { packWrite, unpackWrite } from "../../../src/transport/packed-write.ts";
import type { Boundary } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { mutateOne } from "../mutate-bytes.ts";
import { mutateValue } from "../mutate-values.ts";
import { notPlain } from "../prototypes.ts";

const samples = make.samplesOf(200, (random) => [...packWrite(make.writeOf(random))]);
const parts = samples.flatMap((members) => members.filter((member) => member instanceof Uint8Array).map((bytes) => Uint8Array.from(bytes)));

/** Where a write's events stand. */
const EVENTS = 14;

const packedWrite: Boundary<unknown[]> = {
  name: "packed write",
  weight: 2,
  make: (random) => {
    const members: unknown[] = [...random.pick(samples)];
    const first = random.below(members.length);
    for (const at of new Set([first, random.oneIn(2) ? first : random.below(members.length)])) {
      const member = members[at];
      if (at === EVENTS) {
        members[at] = random.pick<unknown>([undefined, 5, "text", {}, [], null]); // what is in the list, the store looks at
        continue;
      }
      members[at] = member instanceof Uint8Array ? mutateOne(random, [member, ...parts.slice(0, 50)]) : mutateValue(random, member, true);
    }
    return members;
  },
  check: (members) => {
    const unpacked = attempt(
      () => unpackWrite(members as unknown as PackedWrite),
      (error) => error instanceof StoreError && error.reason === "invalid",
    );
    if (unpacked === undefined) return "refused";
    const { events: _events, ...rest } = unpacked.value;
    const problem = notPlain(rest, 2_000_000);
    expectThat(problem === undefined, `what was unpacked is no plain data: ${problem}`);
    const again = unpackWrite(packWrite(unpacked.value));
    expectThat(Buffer.compare(encodeValue(again), encodeValue(unpacked.value)) === 0, "packed and unpacked it is another write");
    return "accepted";
  },
};

export const PACKED: readonly Boundary<never>[] = [packedWrite as Boundary as Boundary<never>];
