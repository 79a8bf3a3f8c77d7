/** Where the values of a msgpack text begin and end, so that mutations can aim at them. For well-formed bytes; what is not is cut off. */

export interface Token {
  /** Of the first byte. */
  readonly start: number;
  /** Behind the value, all that is inside it included. */
  end: number;
  readonly kind: "number" | "text" | "bytes" | "list" | "map" | "other";
  /** How many containers it is in. */
  readonly depth: number;
}

export function tokensOf(bytes: Uint8Array): Token[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const tokens: Token[] = [];
  const open: { token: Token; left: number }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    const token = bytes[at++] as number;
    let kind: Token["kind"] = "other";
    let skip = 0;
    let members = -1;
    try {
      if (token < 0x80 || token >= 0xe0) kind = "number";
      else if (token < 0x90) [kind, members] = ["map", 2 * (token - 0x80)];
      else if (token < 0xa0) [kind, members] = ["list", token - 0x90];
      else if (token < 0xc0) [kind, skip] = ["text", token - 0xa0];
      else if (token >= 0xc4 && token <= 0xc6) [kind, skip] = ["bytes", lengthAt(view, at, token - 0xc4)];
      else if (token >= 0xc7 && token <= 0xc9) skip = 1 + lengthAt(view, at, token - 0xc7);
      else if (token >= 0xca && token <= 0xd3) [kind, skip] = ["number", [4, 8, 1, 2, 4, 8, 1, 2, 4, 8][token - 0xca] as number];
      else if (token >= 0xd4 && token <= 0xd8) skip = 1 + 2 ** (token - 0xd4);
      else if (token >= 0xd9 && token <= 0xdb) [kind, skip] = ["text", lengthAt(view, at, token - 0xd9)];
      else if (token >= 0xdc && token <= 0xdd) [kind, members] = ["list", lengthAt(view, at, token - 0xdb)];
      else if (token >= 0xde) [kind, members] = ["map", 2 * lengthAt(view, at, token - 0xdd)];
      if (token >= 0xc4 && token <= 0xc9) at += 2 ** ((token - 0xc4) % 3);
      else if (token >= 0xd9 && token <= 0xdb) at += 2 ** (token - 0xd9);
      else if (token >= 0xdc && token <= 0xdf) at += 2 ** (1 + (token & 1));
    } catch {
      return tokens; // the length itself is cut off
    }
    at += skip;
    const found: Token = { start, end: at, kind, depth: open.length };
    tokens.push(found);
    if (members > 0) open.push({ token: found, left: members });
    else
      for (let last = open.at(-1); last !== undefined && --last.left === 0; last = open.at(-1)) {
        last.token.end = at;
        open.pop();
      }
  }
  for (const token of tokens) token.end = Math.min(token.end, bytes.length); // of bytes that are damaged already
  return tokens;
}

/** @param width - 0, 1, 2: of one, two, four bytes */
function lengthAt(view: DataView, at: number, width: number): number {
  return width === 0 ? view.getUint8(at) : width === 1 ? view.getUint16(at) : view.getUint32(at);
}
