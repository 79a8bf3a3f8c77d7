// A state machine as a table: runs, refused events, reachability, equivalence after minimising.
// variant: { start: "idle", table: { idle: { start: "running" }, running: { pause: "paused", stop: "done" }, paused: { resume: "running", stop: "done" }, done: {} }, events: ["start", "pause", "stop", "resume"] }
// variant: { start: "red", table: { red: { tick: "green", off: "dark" }, green: { tick: "amber" }, amber: { tick: "red" }, dark: { on: "red" } }, events: ["tick", "tick", "off", "tick", "off", "on"] }
// variant: { start: "closed", table: { closed: { open: "open", lock: "locked" }, open: { close: "closed" }, locked: { unlock: "closed" }, melted: { cool: "closed" } }, events: ["open", "lock", "close", "lock", "unlock"] }
// --- turn
const machine = { state: PARAM.start, log: [] };
function send(event) {
  const next = PARAM.table[machine.state][event];
  if (next === undefined) throw new RangeError(`${event} is not legal in ${machine.state}`);
  machine.log.push(`${machine.state} -${event}> ${next}`);
  return (machine.state = next);
}
send(PARAM.events[0]);
// --- turn
const refused = [];
for (const event of PARAM.events.slice(1)) {
  try {
    send(event);
  } catch (error) {
    refused.push(error.message);
  }
}
console.log(machine.log.join("\n"));
`in ${machine.state}; ${refused.length} refused: ${refused.join("; ")}`;
// --- turn
// expect-error: AGENT_ERROR
send("explode");
// --- turn
function reachable(from) {
  const seen = new Set([from]);
  for (const state of seen) for (const next of Object.values(PARAM.table[state])) seen.add(next);
  return seen;
}
const lost = Object.keys(PARAM.table).filter((state) => !reachable(PARAM.start).has(state));
({ reachable: reachable(PARAM.start), lost });
// --- turn
const diagram = Object.entries(PARAM.table).flatMap(([from, row]) =>
  Object.entries(row).map(([event, to]) => `${from} --> ${to}: ${event}`),
);
diagram.join("\n");
// --- turn
const alphabet = [...new Set(Object.values(PARAM.table).flatMap(Object.keys))].sort();
let classes = new Map(Object.keys(PARAM.table).map((state) => [state, alphabet.filter((event) => event in PARAM.table[state]).join()]));
for (let before = 0; new Set(classes.values()).size !== before;) {
  before = new Set(classes.values()).size;
  classes = new Map(
    [...classes].map(([state, name]) => [
      state,
      [name, ...alphabet.map((event) => classes.get(PARAM.table[state][event]) ?? "-")].join("|"),
    ]),
  );
  const short = [...new Set(classes.values())];
  classes = new Map([...classes].map(([state, name]) => [state, `c${short.indexOf(name)}`]));
}
`${classes.size} states, ${new Set(classes.values()).size} after minimising`;
// --- turn
machine.state = PARAM.start;
const path = (goal) => {
  const queue = [[PARAM.start, []]],
    seen = new Set();
  for (const [state, way] of queue) {
    if (state === goal) return way;
    if (seen.has(state)) continue;
    seen.add(state);
    for (const [event, next] of Object.entries(PARAM.table[state])) queue.push([next, [...way, event]]);
  }
  return null;
};
Object.keys(PARAM.table)
  .map((goal) => `${goal}: ${path(goal)?.join(" ") ?? "never"}`)
  .join("; ");
