// A small Lisp: reader, evaluator with closures, then programs in it.
// variant: { n: 10, list: [3, 1, 2] }
// variant: { n: 15, list: [5, 9, 1, 7, 3] }
// variant: { n: 20, list: [8, 6, 7, 5, 3, 0, 9] }
// --- turn
function read(source) {
  const tokens = source.match(/[()']|[^\s()']+/g);
  function next() {
    const token = tokens.shift();
    if (token === "'") return ["quote", next()];
    if (token !== "(") return isNaN(token) ? token : Number(token);
    const list = [];
    while (tokens[0] !== ")") list.push(next());
    tokens.shift();
    return list;
  }
  return next();
}
const print = (x) => (Array.isArray(x) ? `(${x.map(print).join(" ")})` : typeof x === "function" ? "#procedure" : String(x));
print(read("(a (b 'c) 42)"));
// --- turn
const root = new Map(
  Object.entries({
    "+": (...xs) => xs.reduce((a, b) => a + b, 0),
    "*": (...xs) => xs.reduce((a, b) => a * b, 1),
    "-": (a, b) => a - b,
    "<": (a, b) => a < b,
    "=": (a, b) => a === b,
    car: (l) => l[0],
    cdr: (l) => l.slice(1),
    cons: (x, l) => [x, ...l],
    "null?": (l) => l.length === 0,
  }),
);
const scope = (names, values, outer) => ({ bound: new Map(names.map((name, i) => [name, values[i]])), outer });
const top_ = { bound: root, outer: null };
function find(name, env) {
  for (let at = env; at; at = at.outer) if (at.bound.has(name)) return at.bound.get(name);
  throw new ReferenceError(`unbound: ${name}`);
}
function evaluate(x, env = top_) {
  if (typeof x === "number") return x;
  if (typeof x === "string") return find(x, env);
  const [head, ...rest] = x;
  if (head === "quote") return rest[0];
  if (head === "if") return evaluate(evaluate(rest[0], env) ? rest[1] : rest[2], env);
  if (head === "define") return (env.bound.set(rest[0], evaluate(rest[1], env)), rest[0]);
  if (head === "lambda") return (...args) => evaluate(rest[1], scope(rest[0], args, env));
  const [f, ...args] = x.map((part) => evaluate(part, env));
  return f(...args);
}
const lisp = (source) => print(evaluate(read(source)));
lisp("(+ 1 (* 2 3))");
// --- turn
lisp("(define fact (lambda (n) (if (< n 2) 1 (* n (fact (- n 1))))))");
lisp("(define fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))");
`fact ${PARAM.n} = ${lisp(`(fact ${PARAM.n})`)}, fib ${PARAM.n} = ${lisp(`(fib ${PARAM.n})`)}`;
// --- turn
lisp("(define map (lambda (f l) (if (null? l) l (cons (f (car l)) (map f (cdr l))))))");
lisp("(define insert (lambda (x l) (if (null? l) (cons x l) (if (< x (car l)) (cons x l) (cons (car l) (insert x (cdr l)))))))");
lisp("(define sort (lambda (l) (if (null? l) l (insert (car l) (sort (cdr l))))))");
lisp(`(map (lambda (x) (* x x)) (sort '${print(PARAM.list)}))`);
// --- turn
// expect-error: AGENT_ERROR
lisp("(fact unknown)");
// --- turn
lisp("(define adder (lambda (n) (lambda (x) (+ x n))))");
console.log("adder is", lisp("adder"));
lisp(`(map (adder 100) '${print(PARAM.list)})`);
// --- turn
`${root.size} names, last: ${[...root.keys()].slice(-3).join(", ")}`;
