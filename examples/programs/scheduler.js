// A discrete-event simulation: jobs, machines, and async tasks on a clock of its own.
// variant: { machines: 1, jobs: [[0, 5], [1, 3], [2, 8], [3, 2]] }
// variant: { machines: 2, jobs: [[0, 4], [0, 4], [1, 6], [2, 1], [9, 3]] }
// variant: { machines: 3, jobs: Array.from({ length: 400 }, (_, i) => [i * 2, (i * 7) % 11 + 1]) }
// --- turn
class Clock {
  now = 0;
  #events = [];
  #order = 0;
  at(time, action) {
    const event = { time, order: this.#order++, action };
    const i = this.#events.findIndex((other) => other.time > time);
    this.#events.splice(i < 0 ? this.#events.length : i, 0, event);
  }
  run() {
    let steps = 0;
    for (let event; (event = this.#events.shift()); steps += 1) {
      this.now = event.time;
      event.action();
    }
    return steps;
  }
}
const trial = new Clock(),
  heard = [];
for (const [time, word] of [
  [3, "c"],
  [1, "a"],
  [2, "b"],
  [3, "d"],
])
  trial.at(time, () => heard.push(word));
`${trial.run()} events: ${heard.join("")}`;
// --- turn
function simulate({ machines, jobs }, pick) {
  const clock = new Clock(),
    waiting = [],
    done = [];
  let free = machines;
  const start = () => {
    while (free > 0 && waiting.length) {
      const [job] = waiting.splice(pick(waiting), 1);
      free -= 1;
      clock.at(clock.now + job.length, () => {
        free += 1;
        done.push({ ...job, end: clock.now });
        start();
      });
    }
  };
  jobs.forEach(([arrival, length], id) =>
    clock.at(arrival, () => {
      waiting.push({ id, arrival, length });
      start();
    }),
  );
  clock.run();
  return done;
}
const fifo = simulate(PARAM, () => 0);
fifo
  .slice(0, 4)
  .map((job) => `#${job.id}@${job.end}`)
  .join(" ");
// --- turn
const meanWait = (done) => (done.reduce((sum, job) => sum + job.end - job.arrival - job.length, 0) / done.length).toFixed(2);
const shortestFirst = simulate(PARAM, (waiting) => waiting.reduce((best, job, i) => (job.length < waiting[best].length ? i : best), 0));
console.log("first come:", meanWait(fifo), "shortest first:", meanWait(shortestFirst));
`shortest first is no worse: ${Number(meanWait(shortestFirst)) <= Number(meanWait(fifo))}`;
// --- turn
const clock = new Clock();
const sleep = (ticks) => new Promise((resolve) => clock.at(clock.now + ticks, resolve));
const trace = [];
async function worker(name, ...naps) {
  for (const nap of naps) {
    await sleep(nap);
    trace.push(`${name}${clock.now}`);
  }
  return name;
}
const finished = Promise.all([worker("a", 2, 2), worker("b", 3), worker("c", 1, 4)]);
typeof finished.then;
// --- turn
(async () => {
  for (let idle = 0; idle < 8; idle += 1) {
    if (clock.run() > 0) idle = 0;
    await null;
  }
  return `${(await finished).join("")}: ${trace.join(" ")}`;
})();
// --- turn
const busy = fifo.reduce((sum, job) => sum + job.length, 0),
  end = Math.max(...fifo.map((job) => job.end));
`${((100 * busy) / (end * PARAM.machines)).toFixed(1)} % busy until ${end}`;
