// An expression calculator with a Pratt parser: variables, functions, right-associative powers, symbolic derivative.
// variant: { expression: "2 + 3 * 4 ^ 2 / (1 - 5) ^ 2", x: 3, f: "x ^ 3 - 2 * x + 1" }
// variant: { expression: "-2 ^ 2 + 10 % 4 - -3", x: 0.5, f: "4 * x ^ 2 + x * x" }
// variant: { expression: "max(1, 7, 3) * sqrt(16) - 2 ^ 3 ^ 0", x: -2, f: "(x + 1) * (x - 1)" }
// --- turn
const lex = (text) => text.match(/\d+(?:\.\d+)?|[a-z]+|[-+*\/%^(),=]/g) ?? [];
lex(PARAM.expression).length;
// --- turn
const power = { "+": 10, "-": 10, "*": 20, "/": 20, "%": 20, "^": 40 };
function parse(text) {
  const tokens = lex(text);
  const expect = (token) => {
    const found = tokens.shift();
    if (found !== token) throw new SyntaxError(`${token} expected, not ${found}`);
  };
  function prefix() {
    const token = tokens.shift();
    if (token === "-") return { op: "neg", args: [expression(30)] };
    if (token === "(") {
      const inner = expression(0);
      expect(")");
      return inner;
    }
    if (/^\d/.test(token ?? "")) return { op: "num", value: Number(token) };
    if (!/^[a-z]/.test(token ?? "")) throw new SyntaxError(`a value expected, not ${token}`);
    if (tokens[0] !== "(") return { op: "var", name: token };
    const args = [];
    do {
      tokens.shift();
      args.push(expression(0));
    } while (tokens[0] === ",");
    expect(")");
    return { op: "call", name: token, args };
  }
  function expression(min) {
    let left = prefix();
    while (power[tokens[0]] > min) {
      const op = tokens.shift();
      left = { op, args: [left, expression(op === "^" ? power[op] - 1 : power[op])] };
    }
    return left;
  }
  const tree = expression(0);
  if (tokens.length) throw new SyntaxError(`unexpected ${tokens[0]}`);
  return tree;
}
const show = (t) => (t.op === "num" ? String(t.value) : t.op === "var" ? t.name : `(${t.name ?? t.op} ${t.args.map(show).join(" ")})`);
show(parse(PARAM.expression));
// --- turn
const variables = { pi: 3.25 };
const operations = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "^": (a, b) => a ** b,
  neg: (a) => -a,
};
const functions = { max: Math.max, sqrt: Math.sqrt, abs: Math.abs };
function value(t) {
  if (t.op === "num") return t.value;
  if (t.op === "var") {
    if (!(t.name in variables)) throw new ReferenceError(`no variable ${t.name}`);
    return variables[t.name];
  }
  return (operations[t.op] ?? functions[t.name])(...t.args.map(value));
}
value(parse(PARAM.expression));
// --- turn
// expect-error: AGENT_ERROR
value(parse("2 * (3 + "));
// --- turn
variables.x = PARAM.x;
const f = parse(PARAM.f);
`f(${PARAM.x}) = ${value(f)}`;
// --- turn
const num = (n) => ({ op: "num", value: n }),
  make = (op, ...args) => ({ op, args });
function derive(t) {
  if (t.op === "num") return num(0);
  if (t.op === "var") return num(t.name === "x" ? 1 : 0);
  const [u, v] = t.args;
  if (t.op === "+" || t.op === "-") return make(t.op, derive(u), derive(v));
  if (t.op === "*") return make("+", make("*", derive(u), v), make("*", u, derive(v)));
  if (t.op === "^" && v.op === "num") return make("*", make("*", v, make("^", u, num(v.value - 1))), derive(u));
  throw new TypeError(`no rule for ${t.op}`);
}
const slope = value(derive(f)),
  h = 1 / 1024;
variables.x = PARAM.x + h;
const right = value(f);
variables.x = PARAM.x - h;
const left = value(f);
console.log("symbolic", slope, "numeric", ((right - left) / (2 * h)).toFixed(4));
`f'(${PARAM.x}) = ${slope}`;
// --- turn
const simplify = (t) => {
  if (!t.args) return t;
  const [u, v] = t.args.map(simplify),
    is = (node, n) => node?.op === "num" && node.value === n;
  if (u.op === "num" && v?.op === "num") return num(operations[t.op](u.value, v.value));
  if (t.op === "*" && (is(u, 0) || is(v, 0))) return num(0);
  if (t.op === "*" && is(u, 1)) return v;
  if ((t.op === "*" || t.op === "^") && is(v, 1)) return u;
  if (t.op === "+" && is(u, 0)) return v;
  if ((t.op === "+" || t.op === "-") && is(v, 0)) return u;
  return make(t.op, ...(v ? [u, v] : [u]));
};
show(simplify(derive(f)));
