// Collatz chains, then a mistake that never ends: the session must survive the interrupt with its globals.
// variant: { below: 1000 }
// variant: { below: 5000 }
// variant: { below: 10000 }
// --- turn
const chain = (n) => {
  const steps = [n];
  while (n !== 1) steps.push((n = n % 2 ? 3 * n + 1 : n / 2));
  return steps;
};
chain(27).length;
// --- turn
let record = { start: 1, length: 1 },
  checked = 0,
  rounds = 0;
for (let start = 1; start < PARAM.below; start += 1) {
  const { length } = chain(start);
  if (length > record.length) record = { start, length };
  checked += 1;
}
record;
// --- turn
// timeoutMs: 300
// expect-error: AGENT_ERROR
console.log("looking for a chain that never comes down");
for (let n = 1; ; n = n % 2 ? 3 * n + 1 : n / 2) {
  try {
    rounds += 1;
    if (n < 0) break;
  } catch {
    rounds = -1;
  } finally {
    checked += 0;
  }
}
// --- turn
// How far it came depends on how busy the machine is; that it came no further does not.
const stoppedAt = rounds;
`${rounds === stoppedAt ? "it has stopped" : "it goes on"}; record still ${record.start} with ${record.length}, ${checked} checked`;
// --- turn
const peak = Math.max(...chain(record.start));
console.log("peak", peak);
`the record chain climbs to ${peak}`;
// --- turn
// timeoutMs: 300
// expect-error: AGENT_ERROR
(async () => {
  try {
    for (;;) await null;
  } finally {
    record = null;
  }
})();
// --- turn
const again = chain(record.start).length;
`${again === record.length ? "same" : "other"} length: ${again}`;
