/** Messages between sessions, on main: what may go, what waits, in which order, and when the waiting ends (Q1–Q4). */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { PeerDirectory } from "../../src/host/comms/peer-directory.ts";
import { PeerMail, SEND_WAIT_MAX_MS, WAITING_BYTES_MAX, WAITING_MAX } from "../../src/host/comms/peer-mail.ts";
import type { Peer } from "../../src/host/comms/peer.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import { INBOX_BYTES_MAX, INBOX_MAX, MESSAGE_BYTES_MAX, SENDING_MAX } from "../../src/protocol/comms.ts";
import { randomOf } from "../helpers/seeded.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class Post {
  readonly directory = new PeerDirectory();
  /** By recipient: sender and text. */
  readonly arrived = new Map<Peer, [from: string, text: string][]>();
  /** By sender and request: "sent", or the kind of the failure. */
  readonly answers = new Map<string, string>();
  readonly mail: PeerMail;
  #requests = 0;

  constructor() {
    this.mail = new PeerMail({
      find: ({ realm }, name) => this.directory.find(realm, name),
      deliver: (to, from, message) => {
        const arrived = this.arrived.get(to) ?? [];
        arrived.push([from, new TextDecoder().decode(message.subarray(0, 20)).trimEnd()]);
        this.arrived.set(to, arrived);
      },
      answer: (sender, request, failure) => {
        const key = `${sender.name}:${request}`;
        if (this.answers.has(key)) throw new Error(`${key} was answered twice`);
        this.answers.set(key, failure?.[0] ?? "sent");
      },
      now: () => Date.now(),
    });
  }

  peer(name: string, ...trusted: string[]): Peer {
    const peer = this.directory.claim({ name, realm: "", trusted }) as Peer;
    peer.entry = { state: "live" } as SessionEntry;
    return peer;
  }

  /** @returns what it is answered with, now or later */
  send(from: Peer, to: string, text: string, bytes = text.length): () => string | undefined {
    const request = ++this.#requests;
    this.mail.send(from, request, to, new TextEncoder().encode(text.padEnd(bytes)));
    return () => this.answers.get(`${from.name}:${request}`);
  }

  take(peer: Peer, count = peer.unread): void {
    this.mail.taken(peer, count, count === peer.unread ? peer.unreadBytes : Math.floor((peer.unreadBytes * count) / peer.unread));
  }

  leave(peer: Peer): void {
    this.directory.release(peer);
    this.mail.drop(peer);
  }

  textsOf(peer: Peer): string[] {
    return (this.arrived.get(peer) ?? []).map(([, text]) => text);
  }
}

const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, n) => from + n);

describe("one recipient", () => {
  test("Q2: beyond what its inbox holds messages wait, and follow in their order as it is emptied", () => {
    const post = new Post();
    const [a, b] = [post.peer("a", "b"), post.peer("b", "a")];
    const ends = range(INBOX_MAX + 10).map((n) => post.send(a, "b", String(n)));
    expect(ends.map((end) => end()).lastIndexOf("sent")).toBe(INBOX_MAX - 1);
    post.take(b, 4);
    expect(ends.filter((end) => end() === "sent")).toHaveLength(INBOX_MAX + 4);
    const late = post.send(a, "b", "late", 5); // there is room for none: it goes behind those that wait
    post.take(b);
    expect(late()).toBe("sent");
    expect(post.textsOf(b)).toEqual([...range(INBOX_MAX + 10).map(String), "late"]);
    expect([b.waiting.size, b.waitingBytes, a.sending.size, post.mail.waiting, vi.getTimerCount()]).toEqual([0, 0, 0, 0, 0]);
  });

  test("Q1: a small message does not pass a large one that waits", () => {
    const post = new Post();
    const [a, b] = [post.peer("a", "b"), post.peer("b", "a")];
    for (const _ of range(INBOX_BYTES_MAX / MESSAGE_BYTES_MAX)) post.send(a, "b", "large", MESSAGE_BYTES_MAX);
    const [large, small] = [post.send(a, "b", "large", MESSAGE_BYTES_MAX), post.send(a, "b", "small")];
    post.mail.taken(b, 1, MESSAGE_BYTES_MAX - 10);
    expect([large(), small()]).toEqual([undefined, undefined]);
    post.mail.taken(b, 1, MESSAGE_BYTES_MAX);
    expect([large(), small()]).toEqual(["sent", "sent"]);
    expect(post.textsOf(b).slice(-2)).toEqual(["large", "small"]);
  });

  test("Q3: what waits for one recipient is bounded, in messages and in bytes, and so is what one sender has waiting", () => {
    const post = new Post();
    const senders = range(5).map((n) => post.peer(`s${n}`, "b", "c"));
    const names = senders.map(({ name }) => name);
    const [b, c] = [post.peer("b", ...names), post.peer("c", ...names)];
    for (const n of range(INBOX_MAX)) post.send(senders[0] as Peer, "b", String(n));
    const [first, ...others] = senders as [Peer, ...Peer[]];
    const ends = range(SENDING_MAX).map((n) => post.send(first, "b", String(n)));
    expect(ends.every((end) => end() === undefined)).toBe(true);
    expect(post.send(first, "b", "more")()).toBe("comms_input_full");
    for (const sender of others.slice(0, 3)) for (const n of range(SENDING_MAX)) post.send(sender, "b", String(n));
    expect(b.waiting.size).toBe(WAITING_MAX);
    expect(post.send(senders[4] as Peer, "b", "more")()).toBe("comms_input_full");

    for (const _ of range(INBOX_BYTES_MAX / MESSAGE_BYTES_MAX + WAITING_BYTES_MAX / MESSAGE_BYTES_MAX))
      post.send(senders[4] as Peer, "c", "large", MESSAGE_BYTES_MAX);
    expect(c.waitingBytes).toBe(WAITING_BYTES_MAX);
    expect(post.send(senders[4] as Peer, "c", "1")()).toBe("comms_input_full");
    post.leave(b);
    post.leave(c);
  });

  test("Q4: a message waits for 30 s at most; each for its own", () => {
    const post = new Post();
    const [a, b] = [post.peer("a", "b"), post.peer("b", "a")];
    for (const n of range(INBOX_MAX)) post.send(a, "b", String(n));
    const first = post.send(a, "b", "first");
    vi.advanceTimersByTime(10_000);
    const second = post.send(a, "b", "second");
    vi.advanceTimersByTime(SEND_WAIT_MAX_MS - 10_001);
    expect([first(), second()]).toEqual([undefined, undefined]);
    vi.advanceTimersByTime(1);
    expect([first(), second()]).toEqual(["comms_input_full", undefined]);
    vi.advanceTimersByTime(10_000);
    expect([second(), vi.getTimerCount(), b.waiting.size]).toEqual(["comms_input_full", 0, 0]);
  });

  test("Q4: waits end when the recipient leaves; when the sender does, its messages are dropped and nobody is told", () => {
    const post = new Post();
    const [a, b, c] = [post.peer("a", "b"), post.peer("b", "a", "c"), post.peer("c", "b")];
    for (const n of range(INBOX_MAX)) post.send(a, "b", String(n));
    const [mine, its] = [post.send(a, "b", "mine"), post.send(c, "b", "its")];
    post.leave(a);
    expect([mine(), its(), b.waiting.size]).toEqual([undefined, undefined, 1]);
    post.leave(b);
    expect([mine(), its(), post.mail.waiting, vi.getTimerCount()]).toEqual([undefined, "comms_peer_offline", 0, 0]);
  });

  test("Q4: what is withdrawn does not go; what went stays", () => {
    const post = new Post();
    const [a, b] = [post.peer("a", "b"), post.peer("b", "a")];
    post.send(a, "b", "went");
    post.mail.withdraw(a, 1);
    for (const n of range(INBOX_MAX - 1)) post.send(a, "b", String(n));
    const [waits] = [post.send(a, "b", "waits")];
    post.mail.withdraw(a, INBOX_MAX + 1);
    post.take(b);
    expect([waits(), b.unread, post.textsOf(b).includes("waits")]).toEqual([undefined, 0, false]);
  });

  test("Q2: what stood behind a message that is withdrawn goes, if there is room for it", () => {
    const post = new Post();
    const [a] = [post.peer("a", "b"), post.peer("b", "a")];
    for (const n of range(7)) post.send(a, "b", String(n), MESSAGE_BYTES_MAX);
    post.send(a, "b", "7", MESSAGE_BYTES_MAX - 100);
    const large = post.send(a, "b", "large", 1000);
    const small = post.send(a, "b", "small", 10);
    expect([large(), small()]).toEqual([undefined, undefined]);
    post.mail.withdraw(a, 9);
    expect([large(), small(), post.mail.waiting]).toEqual([undefined, "sent", 0]);
  });

  test("Q2: while its session is on its way to another lane messages wait, and then go there", () => {
    const post = new Post();
    const [a, b] = [post.peer("a", "b"), post.peer("b", "a")];
    const entry = b.entry as { state: string };
    entry.state = "moving";
    const first = post.send(a, "b", "first");
    b.entry = undefined;
    const second = post.send(a, "b", "second");
    b.entry = { state: "building" } as SessionEntry;
    expect([first(), second()]).toEqual([undefined, undefined]);
    b.entry = { state: "live" } as SessionEntry;
    post.mail.pump(b);
    expect([first(), second(), post.textsOf(b)]).toEqual(["sent", "sent", ["first", "second"]]);
  });

  test("a sender that is trusted no more is told so when its turn has come", () => {
    const post = new Post();
    const [a, b, c] = [post.peer("a", "b"), post.peer("b", "a", "c"), post.peer("c", "b")];
    for (const n of range(INBOX_MAX)) post.send(a, "b", String(n));
    const [mine, its] = [post.send(a, "b", "mine"), post.send(c, "b", "its")];
    b.trusted.delete("a");
    post.mail.pump(b);
    expect([mine(), its()]).toEqual(["comms_peer_not_sendable", undefined]);
    post.take(b);
    expect(its()).toBe("sent");
  });

  test("a lane that says that more was taken than there was is not believed", () => {
    const post = new Post();
    const [a, b] = [post.peer("a", "b"), post.peer("b", "a")];
    post.send(a, "b", "one");
    for (const [count, bytes] of [
      [2, 3],
      [1, 4],
      [-1, 0],
      [Number.NaN, 0],
      ["1", {}],
    ]) {
      expect(() => post.mail.taken(b, count as number, bytes as number)).toThrow(/took/);
    }
    expect(b.unread).toBe(1);
  });
});

test("whoever does not trust, or is not trusted, or not there, is not sent to", () => {
  const post = new Post();
  const a = post.peer("a", "b", "c", "building");
  post.peer("b");
  const building = post.peer("building", "a");
  (building.entry as { state: string }).state = "building";
  expect(["x", "b", "c", "building"].map((name) => post.send(a, name, "hello")())).toEqual([
    "comms_peer_not_found",
    "comms_peer_not_sendable",
    "comms_peer_offline",
    "comms_peer_offline",
  ]);
  expect(post.send(post.peer("d", "a"), "a", "large", MESSAGE_BYTES_MAX + 1)()).toBe("comms_peer_not_sendable");
  a.trusted.add("d");
  expect(post.send(post.directory.find("", "d") as Peer, "a", "large", MESSAGE_BYTES_MAX + 1)()).toBe("comms_validation");
});

test("D1: a name is one session's in its realm, and free when that leaves; names and realms may hold anything", () => {
  const directory = new PeerDirectory();
  const claim = (realm: string, name: string): Peer | undefined => directory.claim({ realm, name, trusted: [] });
  const first = claim("r", "n") as Peer;
  expect([claim("r", "n"), claim("", "n"), claim("1", "1:n"), claim("11:", "n")].map((peer) => peer !== undefined)).toEqual([
    false,
    true,
    true,
    true,
  ]);
  expect([directory.release(first), directory.release(first)]).toEqual([true, false]);
  expect(claim("r", "n")).toBeDefined();
  expect(directory.size).toBe(4);
});

describe("whatever happens, in whatever order (Q1, Q4)", () => {
  test.each(range(8, 1))("seed %i", (seed) => {
    const random = randomOf(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const post = new Post();
    const names = ["a", "b", "c", "d"];
    const live = new Map(names.map((name) => [name, post.peer(name, ...names)]));
    const everybody = [...live.values()];
    /** Numbers sent by one session to another, in order, and how each ended. */
    const sent: { from: Peer; to: Peer; text: string; end: () => string | undefined; isWithdrawn: boolean; request: number }[] = [];
    let request = 0;
    for (const step of range(6000)) {
      const [from, to] = [pick([...live.values()]), pick([...live.values()])];
      const what = random();
      if (what < 0.9) {
        const text = String(step);
        const size = random() < 0.02 ? MESSAGE_BYTES_MAX : text.length;
        request++;
        sent.push({ from, to, text, end: post.send(from, to.name, text, size), isWithdrawn: false, request });
      } else if (what < 0.94) {
        if (to.unread > 0) post.take(to, 1 + Math.floor(random() * to.unread));
      } else if (what < 0.96) {
        const one = sent.at(-1);
        if (one !== undefined && one.end() === undefined) {
          one.isWithdrawn = true;
          post.mail.withdraw(one.from, one.request);
        }
      } else if (what < 0.98) vi.advanceTimersByTime(Math.floor(random() * 5000));
      else if (what < 0.99) {
        const entry = to.entry as { state: string };
        entry.state = entry.state === "live" ? "moving" : "live";
        post.mail.pump(to);
      } else if (what < 0.991) {
        post.leave(to);
        const next = post.peer(to.name, ...names);
        live.set(to.name, next);
        everybody.push(next);
      }
    }
    for (const peer of live.values()) post.leave(peer);
    const senders = new Map(sent.map(({ text, from }) => [text, from]));
    for (const to of everybody) {
      for (const from of everybody) {
        const accepted = sent.filter((one) => one.from === from && one.to === to && one.end() === "sent").map(({ text }) => text);
        expect(post.textsOf(to).filter((text) => senders.get(text) === from)).toEqual(accepted);
      }
    }
    const open = sent.filter(({ end, isWithdrawn, from }) => end() === undefined && !isWithdrawn && !from.isClosed);
    expect([open.length, post.mail.waiting, vi.getTimerCount()]).toEqual([0, 0, 0]);
  });
});
