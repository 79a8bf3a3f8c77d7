// A small query language over arrays: from, where, join, group, order.
// variant: { people: [["Ada", 1, 36], ["Ben", 2, 25], ["Cleo", 1, 41], ["Dan", 3, 19]], towns: [[1, "Oslo"], [2, "Bergen"], [3, "Voss"]], age: 30 }
// variant: { people: [["Eve", 7, 52], ["Finn", 7, 17], ["Gus", 8, 33]], towns: [[7, "Ghent"], [8, "Liege"], [9, "Mons"]], age: 18 }
// variant: { people: Array.from({ length: 500 }, (_, i) => [`P${i}`, i % 7, (i * 37) % 90]), towns: Array.from({ length: 7 }, (_, i) => [i, `T${i}`]), age: 65 }
// --- turn
const people = PARAM.people.map(([name, town, age]) => ({ name, town, age }));
const towns = PARAM.towns.map(([id, title]) => ({ id, title }));
`${people.length} people, ${towns.length} towns`;
// --- turn
class Query {
  #source;
  constructor(source) {
    this.#source = source;
  }
  static from(rows) {
    return new Query(() => rows);
  }
  #then(step) {
    return new Query(() => step([...this.#source()]));
  }
  where(test) {
    return this.#then((rows) => rows.filter(test));
  }
  select(make) {
    return this.#then((rows) => rows.map(make));
  }
  orderBy(key, sign = 1) {
    return this.#then((rows) => rows.sort((a, b) => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0)));
  }
  join(other, left, right) {
    return this.#then((rows) => {
      const index = new Map();
      for (const row of other) index.set(right(row), [...(index.get(right(row)) ?? []), row]);
      return rows.flatMap((row) => (index.get(left(row)) ?? []).map((match) => ({ ...row, ...match })));
    });
  }
  groupBy(key, fold) {
    return this.#then((rows) => {
      const groups = new Map();
      for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
      return [...groups].map(([name, members]) => fold(name, members));
    });
  }
  limit(n) {
    return this.#then((rows) => rows.slice(0, n));
  }
  rows() {
    return this.#source();
  }
}
Query.from(people)
  .where((p) => p.age >= PARAM.age)
  .select((p) => p.name)
  .limit(5)
  .rows();
// --- turn
const lived = Query.from(people).join(
  towns,
  (p) => p.town,
  (t) => t.id,
);
lived
  .orderBy((row) => row.age, -1)
  .limit(2)
  .select(({ name, title, age }) => ({ name, title, age }))
  .rows();
// --- turn
const perTown = lived
  .groupBy(
    (row) => row.title,
    (title, members) => ({ title, n: members.length, mean: members.reduce((s, m) => s + m.age, 0) / members.length }),
  )
  .orderBy((g) => g.title);
for (const { title, n, mean } of perTown.rows()) console.log(title.padEnd(7), String(n).padStart(3), mean.toFixed(2).padStart(6));
perTown.rows().length;
// --- turn
people.push({ name: "Zoe", town: towns[0].id, age: PARAM.age });
`queries are lazy: ${lived.rows().length} rows now, ${
  Query.from(people)
    .where((p) => p.age === PARAM.age)
    .rows()
    .at(-1).name
} found`;
// --- turn
const empty = towns.filter((town) => !people.some((p) => p.town === town.id)).map((town) => town.title);
`towns without people: ${empty.join(", ") || "none"}`;
