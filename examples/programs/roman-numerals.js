// Roman numerals: both ways, validity, arithmetic.
// variant: [1, 4, 9, 14, 40, 90, 400]
// variant: [1987, 2024, 444, 999]
// variant: [3999, 1666, 88, 1453]
// --- turn
const signs = [
  ["M", 1000],
  ["CM", 900],
  ["D", 500],
  ["CD", 400],
  ["C", 100],
  ["XC", 90],
  ["L", 50],
  ["XL", 40],
  ["X", 10],
  ["IX", 9],
  ["V", 5],
  ["IV", 4],
  ["I", 1],
];
const toRoman = (n) =>
  signs.reduce(([text, left], [sign, value]) => [text + sign.repeat(Math.floor(left / value)), left % value], ["", n])[0];
PARAM.map(toRoman).join(" ");
// --- turn
const digit = Object.fromEntries(signs.filter(([sign]) => sign.length === 1));
const fromRoman = (text) => [...text].reduce((sum, c, i) => sum + (digit[c] < (digit[text[i + 1]] ?? 0) ? -digit[c] : digit[c]), 0);
PARAM.map(toRoman).map(fromRoman);
// --- turn
let exact = 0;
for (let n = 1; n < 4000; n += 1) if (fromRoman(toRoman(n)) === n) exact += 1;
`${exact} of 3999 survive the round trip`;
// --- turn
const valid = /^M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})$/;
["IIII", "VX", "MCMXC", "IC", toRoman(PARAM[0])].map((text) => `${text} ${valid.test(text)}`);
// --- turn
class Roman {
  constructor(text) {
    if (!valid.test(text) || text === "") throw new RangeError(`not a numeral: ${text}`);
    this.text = text;
  }
  valueOf() {
    return fromRoman(this.text);
  }
  plus(other) {
    return new Roman(toRoman(this + other));
  }
  toString() {
    return this.text;
  }
}
const sum = PARAM.slice(1)
  .map((n) => new Roman(toRoman(n)))
  .reduce((a, b) => (a + b < 4000 ? a.plus(b) : b), new Roman(toRoman(PARAM[0])));
console.log(`${sum}`, +sum);
sum;
// --- turn
// expect-error: AGENT_ERROR
new Roman("IIX");
// --- turn
let longest = "";
for (let n = 1; n < 4000; n += 1) if (toRoman(n).length > longest.length) longest = toRoman(n);
`${longest} = ${fromRoman(longest)}`;
