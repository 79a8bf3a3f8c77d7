// A B-tree of order 4: insertion with splits, ordered walk, range queries, invariants.
// variant: { seed: 7, count: 200 }
// variant: { seed: 42, count: 1000 }
// variant: { seed: 1234, count: 3000 }
// --- turn
const MAX_KEYS = 3;
const leaf = (keys = []) => ({ keys, children: [] });
function split(parent, index) {
  const full = parent.children[index],
    middle = full.keys.length >> 1;
  const right = { keys: full.keys.splice(middle + 1), children: full.children.splice(middle + 1) };
  parent.keys.splice(index, 0, full.keys.pop());
  parent.children.splice(index + 1, 0, right);
}
function insertInto(node, key) {
  let at = node.keys.findIndex((other) => key <= other);
  if (at < 0) at = node.keys.length;
  if (node.keys[at] === key) return false;
  if (node.children.length === 0) {
    node.keys.splice(at, 0, key);
    return true;
  }
  const added = insertInto(node.children[at], key);
  if (node.children[at].keys.length > MAX_KEYS) split(node, at);
  return added;
}
class Tree {
  root = leaf();
  size = 0;
  add(key) {
    if (!insertInto(this.root, key)) return false;
    if (this.root.keys.length > MAX_KEYS) {
      this.root = { keys: [], children: [this.root] };
      split(this.root, 0);
    }
    this.size += 1;
    return true;
  }
}
const tiny = new Tree();
[1, 2, 3, 4].forEach((key) => tiny.add(key));
tiny;
// --- turn
function* walk(node) {
  for (let i = 0; i < node.keys.length; i += 1) {
    if (node.children[i]) yield* walk(node.children[i]);
    yield node.keys[i];
  }
  if (node.children.length) yield* walk(node.children[node.keys.length]);
}
let state = PARAM.seed;
const random = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) >>> 8;
const tree = new Tree(),
  reference = new Set();
for (let i = 0; i < PARAM.count; i += 1) {
  const key = random() % 5000;
  tree.add(key);
  reference.add(key);
}
`${tree.size} keys of ${PARAM.count}`;
// --- turn
const sorted = [...reference].sort((a, b) => a - b);
`in order: ${[...walk(tree.root)].join() === sorted.join()}, first ${sorted.slice(0, 5).join(" ")}`;
// --- turn
function depths(node, depth = 1, found = new Set()) {
  if (node.children.length === 0) found.add(depth);
  node.children.forEach((child) => depths(child, depth + 1, found));
  return found;
}
const sound = (node) =>
  node.keys.length <= MAX_KEYS &&
  (node.children.length === 0 || node.children.length === node.keys.length + 1) &&
  node.children.every(sound);
({ depths: depths(tree.root), sound: sound(tree.root) });
// --- turn
Tree.prototype.range = function (low, high) {
  const found = [];
  (function visit(node) {
    node.keys.forEach((key, i) => {
      if (node.children[i] && key > low) visit(node.children[i]);
      if (key >= low && key < high) found.push(key);
    });
    const lastKey = node.keys[node.keys.length - 1];
    if (node.children.length && lastKey < high) visit(node.children[node.keys.length]);
  })(this.root);
  return found;
};
const between = tree.range(1000, 1200);
`${between.length} keys in 1000..1199, same as a filter: ${between.join() === sorted.filter((k) => k >= 1000 && k < 1200).join()}`;
// --- turn
const before = tree.size;
const fresh = [9001, 9002, 9003, 9001].map((key) => tree.add(key));
console.log("added", fresh);
`${before} -> ${tree.size}, largest ${[...walk(tree.root)].at(-1)}`;
