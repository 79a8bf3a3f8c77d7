// Huffman coding: tree, code table, round trip, comparison with the entropy bound.
// variant: "abracadabra"
// variant: "she sells sea shells by the sea shore"
// variant: "mississippi river missing its misty miss"
// --- turn
const frequencies = new Map();
for (const c of PARAM) frequencies.set(c, (frequencies.get(c) ?? 0) + 1);
const byFrequency = [...frequencies].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
byFrequency.slice(0, 3);
// --- turn
function build(pairs) {
  let order = 0;
  const queue = [...pairs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([char, weight]) => ({ char, weight, order: order++ }));
  while (queue.length > 1) {
    queue.sort((x, y) => x.weight - y.weight || x.order - y.order);
    const [left, right] = queue.splice(0, 2);
    queue.push({ left, right, weight: left.weight + right.weight, order: order++ });
  }
  return queue[0];
}
const root = build(frequencies);
root.weight;
// --- turn
function codes(node, prefix = "", table = new Map()) {
  if (node.char !== undefined) return table.set(node.char, prefix || "0");
  codes(node.left, `${prefix}0`, table);
  return codes(node.right, `${prefix}1`, table);
}
const table = codes(root);
const prefixFree = [...table.values()].every((a) => [...table.values()].every((b) => a === b || !b.startsWith(a)));
`${table.size} codes, prefix free: ${prefixFree}`;
// --- turn
const encode = (text) => [...text].map((c) => table.get(c)).join("");
const bits = encode(PARAM);
`${bits.length} bits instead of ${PARAM.length * 8}`;
// --- turn
function decode(stream) {
  let node = root,
    text = "";
  for (const bit of stream) {
    node = bit === "0" ? node.left : node.right;
    if (node.char !== undefined) {
      text += node.char;
      node = root;
    }
  }
  return text;
}
decode(bits);
// --- turn
const entropy = [...frequencies.values()].reduce((sum, n) => sum - (n / PARAM.length) * Math.log2(n / PARAM.length), 0);
const average = bits.length / PARAM.length;
console.log("entropy", entropy.toFixed(3), "average", average.toFixed(3));
`within one bit of the bound: ${entropy <= average && average < entropy + 1}`;
