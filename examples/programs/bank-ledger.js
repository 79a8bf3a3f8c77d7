// A double-entry ledger: every posting balances, what does not is refused and changes nothing.
// variant: { opening: { ann: 10000, bob: 2500, cas: 0 }, gift: 1200 }
// variant: { opening: { lin: 500, max: 99999, noor: 1 }, gift: 499 }
// variant: { opening: { kim: 100, ole: 200, pia: 300, quinn: 400 }, gift: 50 }
// --- turn
const ledger = { accounts: new Map([["bank", 0]]), entries: [] };
function post(note, ...moves) {
  if (moves.reduce((sum, [, cents]) => sum + cents, 0) !== 0) throw new RangeError(`${note}: does not balance`);
  const next = new Map(ledger.accounts);
  for (const [name, cents] of moves) {
    next.set(name, (next.get(name) ?? 0) + cents);
    if (name !== "bank" && next.get(name) < 0) throw new RangeError(`${note}: ${name} would owe ${-next.get(name)}`);
  }
  ledger.accounts = next;
  ledger.entries.push({ note, moves });
  return ledger.entries.length;
}
for (const [name, cents] of Object.entries(PARAM.opening)) post(`open ${name}`, ["bank", -cents], [name, cents]);
ledger.accounts;
// --- turn
const [first, second, third] = Object.keys(PARAM.opening);
const transfer = (from, to, cents) => post(`${from} to ${to}`, [from, -cents], [to, cents]);
const richest = () => [...ledger.accounts].reduce((best, entry) => (entry[1] > best[1] ? entry : best))[0];
transfer(richest(), third, 42);
ledger.accounts.get(third);
// --- turn
// expect-error: AGENT_ERROR
transfer(first, second, 1000000);
// --- turn
const sum = () => [...ledger.accounts.values()].reduce((a, b) => a + b, 0);
`${ledger.entries.length} entries, sum ${sum()}, ${first} still has ${ledger.accounts.get(first)}`;
// --- turn
let refused = 0;
const attempts = [
  [first, second, 100],
  [second, first, 7],
  [third, second, 43],
  [third, second, 42],
  [second, third, PARAM.gift],
];
for (const [from, to, cents] of attempts) {
  try {
    transfer(from, to, cents);
  } catch (error) {
    refused += 1;
    console.log("refused:", error.message);
  }
}
`${attempts.length - refused} done, ${refused} refused`;
// --- turn
const replayed = new Map();
for (const { moves } of ledger.entries) for (const [name, cents] of moves) replayed.set(name, (replayed.get(name) ?? 0) + cents);
`replay agrees: ${[...ledger.accounts].every(([name, cents]) => replayed.get(name) === cents)}, sum ${sum()}`;
// --- turn
const statement = (name) =>
  ledger.entries.flatMap(({ note, moves }) =>
    moves.filter(([who]) => who === name).map(([, cents]) => `${String(cents).padStart(7)}  ${note}`),
  );
statement(first).join("\n");
