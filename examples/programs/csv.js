// CSV: a parser that knows quotes, types, a pivot, and back to text.
// variant: 'city,year,rain\nBergen,2021,2250\nBergen,2022,2495\n"Oslo, west",2021,763\n"Oslo, west",2022,801\n'
// variant: 'item,size,price\n"Mug ""Moin""",L,12.50\nPlate,S,7\nPlate,L,9.25\n"Two\nlines",S,1\n'
// variant: 'team,round,points\nred,1,3\nblue,1,1\nred,2,0\nblue,2,3\ngreen,2,3\n'
// --- turn
function parseCsv(text) {
  const rows = [[]];
  let field = "",
    quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') {
        field += c;
        i += 1;
      } else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === "," || c === "\n") {
      rows.at(-1).push(field);
      field = "";
      if (c === "\n") rows.push([]);
    } else field += c;
  }
  return rows.slice(0, -1);
}
const rows = parseCsv(PARAM);
`${rows.length} rows, ${new Set(rows.map((row) => row.length)).size === 1 ? "all" : "not all"} of ${rows[0].length} fields`;
// --- turn
const [header, ...body] = rows;
const typed = (text) => (text !== "" && !isNaN(text) ? Number(text) : text);
const records = body.map((row) => Object.fromEntries(row.map((text, i) => [header[i], typed(text)])));
records[0];
// --- turn
const [across, down, measure] = header;
const columns = [...new Set(records.map((record) => record[across]))],
  lines = [...new Set(records.map((record) => record[down]))];
const cell = (c, l) => records.filter((r) => r[across] === c && r[down] === l).reduce((sum, r) => sum + r[measure], 0);
console.log(["", ...columns.map((c) => JSON.stringify(c))].join("\t"));
for (const line of lines) console.log([line, ...columns.map((c) => cell(c, line))].join("\t"));
`${columns.length} x ${lines.length}`;
// --- turn
const quote = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
const toCsv = (list) =>
  [header, ...list.map((record) => header.map((key) => record[key]))].map((row) => row.map(quote).join(",")).join("\n") + "\n";
`same rows after a round trip: ${JSON.stringify(parseCsv(toCsv(records))) === JSON.stringify(rows.map((r, i) => (i ? r.map((t) => String(typed(t))) : r)))}`;
// --- turn
records.push({ [across]: 'new, "quoted"', [down]: lines[0], [measure]: 1 });
toCsv(records).trim().split("\n").at(-1);
// --- turn
const total = records.reduce((sum, record) => sum + record[measure], 0);
const best = records.reduce((a, b) => (b[measure] > a[measure] ? b : a));
`total ${total}, best ${best[across]} with ${best[measure]}`;
