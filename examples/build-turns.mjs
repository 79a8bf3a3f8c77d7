/**
 * Builds `turns.jsonl` from `programs/`: every program once per variant, its turns in order, sessions interleaved.
 *
 * Expected texts are what Node's own engine makes of the same programs, in a fresh context a session; console and
 * formatter are the sandbox's prelude text, which belongs to no engine. `test/unit/examples.test.ts` holds the sandbox to them.
 *
 *   node examples/build-turns.mjs           write the file
 *   node examples/build-turns.mjs --check   exit with 1 when the file is not what would be written
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import vm from "node:vm";

const at = (path) => new URL(path, import.meta.url);
const preludeFile = readFileSync(at("../src/agents/sandbox-prelude.ts"), "utf8");
const [, prelude] = /SANDBOX_PRELUDE = String\.raw`([^`]*)`/.exec(preludeFile);

/** @returns the program's variants (texts of expressions) and turns */
function parseProgram(name) {
  const [head, ...parts] = readFileSync(at(`programs/${name}.js`), "utf8").split(/^\/\/ --- turn\n/m);
  const variants = [...head.matchAll(/^\/\/ variant: (.+)$/gm)].map((match) => match[1]);
  const turns = parts.map((part) => {
    const directive = (key) => new RegExp(`^// ${key}: (.+)$`, "m").exec(part)?.[1];
    const timeoutMs = directive("timeoutMs");
    return {
      prompt: part.replace(/^\/\/ (timeoutMs|expect-error): .+\n/gm, "").trimEnd(),
      ...(timeoutMs === undefined ? {} : { timeoutMs: Number(timeoutMs) }),
      error: directive("expect-error"),
    };
  });
  return { name, variants, turns };
}

/** One session on Node's engine; its promise jobs run within each evaluation. */
function openContext() {
  const context = vm.createContext({}, { microtaskMode: "afterEvaluate" });
  let result = "";
  const install = new vm.Script(prelude).runInContext(context);
  const { report } = install((chunk) => {
    if (chunk[0] === "1") result += chunk.length === 1 ? "\0" : chunk.slice(1);
  });
  const settle = new vm.Script(
    `(promise, settled) => { promise.then((value) => { settled.value = value; settled.is = "done"; }, (error) => { settled.error = error; settled.is = "failed"; }); }`,
  ).runInContext(context);
  const call = (f, ...args) => {
    Object.assign(context, { __call: () => f(...args) });
    try {
      new vm.Script("__call()").runInContext(context);
    } finally {
      delete context.__call;
    }
  };
  return function evaluate(program, timeoutMs) {
    result = "";
    let value = new vm.Script(program).runInContext(context, { timeout: timeoutMs ?? 60_000 });
    if (Object.prototype.toString.call(value) === "[object Promise]") {
      const settled = {};
      call(settle, value, settled);
      if (settled.is !== "done") throw settled.error ?? new Error("the promise never settled");
      value = settled.value;
    }
    report(value);
    return result;
  };
}

function runSession(program, variant, number) {
  const evaluate = openContext();
  const session = `${program.name}-${number}`;
  const first = { prompt: `const PARAM = ${variant};\nPARAM;`, error: undefined };
  return [first, ...program.turns].map(({ prompt, timeoutMs, error }, i) => {
    let text, failure;
    try {
      text = evaluate(prompt, timeoutMs);
    } catch (thrown) {
      failure = thrown;
    }
    if ((failure !== undefined) !== (error !== undefined)) {
      throw new Error(`${session}, turn ${i}: ${error ? "did not fail" : "failed"}`, { cause: failure });
    }
    if (error === undefined && text === "") throw new Error(`${session}, turn ${i}: has no result to check`);
    return {
      session,
      prompt,
      ...(i === 0 ? { labels: { program: program.name, variant: String(number) } } : {}),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      expect: error === undefined ? { text } : { error },
    };
  });
}

const names = readdirSync(at("programs"))
  .map((file) => file.replace(/\.js$/, ""))
  .sort();
const programs = names.map(parseProgram);
const sessions = programs.flatMap((program) => program.variants.map((variant, i) => runSession(program, variant, i + 1)));
const lines = [];
for (let round = 0; sessions.some((turns) => round < turns.length); round += 1) {
  for (const turns of sessions) if (turns[round]) lines.push(JSON.stringify(turns[round]));
}
const built = `${lines.join("\n")}\n`;
const summary = `${programs.length} programs, ${sessions.length} sessions, ${lines.length} turns`;

if (process.argv.includes("--check")) {
  if (readFileSync(at("turns.jsonl"), "utf8") !== built) {
    console.error("examples/turns.jsonl is not what the programs give: run node examples/build-turns.mjs");
    process.exit(1);
  }
  console.log(`in sync: ${summary}`);
} else {
  writeFileSync(at("turns.jsonl"), built);
  console.log(summary);
}
