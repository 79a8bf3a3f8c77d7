import { describe, expect, test } from "vitest";

import { SessionChannels } from "../../src/host/session-channels.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import type { SessionRegistry } from "../../src/host/session-registry.ts";

/** A session that is live, as far as its channel goes. */
function live(id: string, epoch = 1): SessionEntry {
  return { id, kept: { epoch }, channel: undefined } as unknown as SessionEntry;
}

const registry = {
  adoptChannel: (entry: SessionEntry, channel: SessionEntry["channel"]) => {
    entry.channel = channel;
    channel?.onCount(() => {});
  },
  channelOf: (entry: SessionEntry) => entry.channel ?? { epoch: undefined },
} as unknown as SessionRegistry;

const event = (seq: number) => [seq, 1, { type: "text_delta", delta: String(seq) }] as const;

describe("SessionChannels", () => {
  test("who subscribes to a session that sleeps hears it when it is live, and on over another sleep", async () => {
    const channels = new SessionChannels();
    const stream = channels.of("a").subscribe();
    for (const epoch of [1, 2]) {
      const entry = live("a", epoch);
      channels.attach(entry, registry, true);
      const { channel } = entry;
      expect(channel).toBeDefined();
      channel?.publish(channel.envelope(...event(epoch)));
      expect(stream.tryNext()).toMatchObject({ seq: epoch, cursor: expect.stringContaining(`.${epoch}.${epoch}`) });
      channels.detach(entry);
      expect(channels.lastSeq("a")).toBe(epoch);
    }
  });

  test("of one session there is one channel while somebody is subscribed", () => {
    const channels = new SessionChannels();
    const channel = channels.of("a");
    channel.subscribe();
    expect(channels.of("a")).toBe(channel);
    expect(channels.of("b")).not.toBe(channel);
  });

  test("C1: a channel goes with its last subscriber", async () => {
    const channels = new SessionChannels();
    const channel = channels.of("a");
    const [first, second] = [channel.subscribe(), channel.subscribe()];
    await first.return();
    expect(channels.of("a")).toBe(channel);
    await second.return();
    expect(channels.of("a")).not.toBe(channel);
    const entry = live("b");
    channels.attach(entry, registry, false);
    channels.detach(entry); // nobody listens
    expect(channels.lastSeq("b")).toBe(0);
  });

  test("the streams of a session that is archived end, those of others go on; when the host closes all end", () => {
    const channels = new SessionChannels();
    const [a, b] = [channels.of("a").subscribe(), channels.of("b").subscribe()];
    channels.end("a");
    expect([a.closed, b.closed]).toEqual([true, false]);
    channels.close();
    expect(b.closed).toBe(true);
  });
});
