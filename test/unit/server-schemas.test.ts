/** The server's schemas of requests say what the library's do. */
import { describe, expect, test } from "vitest";

import { AppendSystemContextRequestSchema, CreateSessionRequestSchema, StartTurnRequestSchema } from "../../src/protocol/requests.ts";
import { CreateSessionBody, StartTurnBody, SystemContextBody } from "../../src/server/schemas.ts";

/** Members that HTTP has in other ways: events are a stream, a key is a header, what an id and a key are good for is the server's own. */
const OF_THE_LIBRARY = ["onEvent", "idempotencyKey", "idempotencyScope", "sessionId"];
/** What a connection can be asked beyond the library. */
const OF_THE_SERVER = ["cancelOnDisconnect"];

const members = (schema: { shape: object }): string[] => Object.keys(schema.shape).sort();
const common = (names: readonly string[]): string[] => names.filter((name) => ![...OF_THE_LIBRARY, ...OF_THE_SERVER].includes(name));

describe("a body has the members of the library's request", () => {
  test.each([
    ["create", CreateSessionBody, CreateSessionRequestSchema],
    ["turn", StartTurnBody, StartTurnRequestSchema],
  ])("%s", (_name, body, request) => {
    expect(common(members(body))).toEqual(common(members(request)));
  });

  test("system context", () => {
    expect(members(SystemContextBody)).toEqual(members(AppendSystemContextRequestSchema));
  });
});

test("what the library takes, the server takes", () => {
  const turn = {
    prompt: "x",
    hostMode: true,
    skillReferences: [{ sourceUuid: "a", skillName: "b" }],
    flowToolOverlay: { allowedTools: ["a"], blockedTools: [] },
    executionKind: "content_turn",
    preTurnContextAppends: [{ text: "t", source: "s", idempotencyKey: "k", acceptedAt: 1 }],
    timeoutMs: 1,
    onBusy: "enqueue",
  };
  expect(StartTurnRequestSchema.safeParse(turn).success).toBe(true);
  expect(StartTurnBody.parse(turn)).toEqual(turn);
  const create = {
    prompt: "x",
    isolation: "dedicated",
    resourceLimits: { maxOldGenerationSizeMb: 64 },
    labels: { a: "b" },
    build: { any: [1] },
  };
  expect(CreateSessionRequestSchema.safeParse(create).success).toBe(true);
  expect(CreateSessionBody.parse(create)).toEqual(create);
});
