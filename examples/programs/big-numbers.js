// Big numbers: sieve, factorials, Miller-Rabin, Mersenne primes, digits of e.
// variant: { limit: 1000, factorial: 25, digits: 40 }
// variant: { limit: 50000, factorial: 100, digits: 200 }
// variant: { limit: 200000, factorial: 300, digits: 600 }
// --- turn
function sieve(limit) {
  const composite = new Uint8Array(limit + 1),
    primes = [];
  for (let n = 2; n <= limit; n += 1) {
    if (composite[n]) continue;
    primes.push(n);
    for (let m = n * n; m <= limit; m += n) composite[m] = 1;
  }
  return primes;
}
const primes = sieve(PARAM.limit);
`${primes.length} primes up to ${PARAM.limit}, the last is ${primes.at(-1)}`;
// --- turn
let product = 1n;
for (let n = 2n; n <= BigInt(PARAM.factorial); n += 1n) product *= n;
const text = product.toString();
`${PARAM.factorial}! has ${text.length} digits and ends in ${/0*$/.exec(text)[0].length} zeros: ${text.slice(0, 12)}...`;
// --- turn
function modPower(base, exponent, modulus) {
  let result = 1n,
    b = base % modulus;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * b) % modulus;
    b = (b * b) % modulus;
  }
  return result;
}
function isPrime(n) {
  if (n < 2n) return false;
  for (const p of [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n]) {
    if (n === p) return true;
    if (n % p === 0n) return false;
  }
  let odd = n - 1n,
    twos = 0;
  while (odd % 2n === 0n) {
    odd /= 2n;
    twos += 1;
  }
  return [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n].every((a) => {
    let x = modPower(a, odd, n);
    for (let i = 0; i < twos; i += 1) {
      if (x === 1n && i === 0) return true;
      if (x === n - 1n) return true;
      x = (x * x) % n;
    }
    return false;
  });
}
`agrees with the sieve: ${primes.filter((p) => p < 3000).every((p) => isPrime(BigInt(p)))}, 561 is prime: ${isPrime(561n)}`;
// --- turn
const mersenne = sieve(130).filter((p) => isPrime(2n ** BigInt(p) - 1n));
mersenne;
// --- turn
const scale = 10n ** BigInt(PARAM.digits + 10);
let e = 0n;
for (let term = scale, n = 1n; term > 0n; term /= n, n += 1n) e += term;
const digits = (e / 10n ** 10n).toString();
console.log(`${digits[0]}.${digits.slice(1, 31)}...`);
digits.slice(-10);
// --- turn
const gcd = (a, b) => (b === 0n ? a : gcd(b, a % b));
const next = (n) => {
  let m = n + 1n;
  while (!isPrime(m)) m += 1n;
  return m;
};
const p = next(10n ** 20n + BigInt(PARAM.limit));
`next prime ${p}, shares ${gcd(p, product)} with the factorial`;
