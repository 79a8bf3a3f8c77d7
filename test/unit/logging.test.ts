import { describe, expect, test } from "vitest";

import { HostEvents } from "../../src/host/host-events.ts";
import type { LogLevel, ServerLogger } from "../../src/server/logging.ts";
import { createLogger } from "../../src/server/logging.ts";

/** A logger into memory. */
function logging(level?: LogLevel): { logger: ServerLogger; lines: () => Record<string, unknown>[] } {
  const written: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => void written.push(line) } });
  return { logger, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe("log lines", () => {
  test("G2: a host's line has its session, turn and lane", () => {
    const { logger, lines } = logging();
    new HostEvents({ logger }).emit("run_abandoned", { lane: 3, sessionId: "s", ticket: 7 });
    expect(lines()).toEqual([
      {
        level: "warn",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        pid: process.pid,
        event: "run_abandoned",
        lane: 3,
        session: "s",
        turn: 7,
        msg: expect.any(String),
      },
    ]);
  });

  test("G1: what looks like a credential is censored", () => {
    const { logger, lines } = logging();
    logger.info({ authorization: "Bearer 1", headers: { authorization: "Bearer 2", accept: "*/*" } }, "m");
    logger.pino.info({ req: { headers: { cookie: "a=3" } }, token: "4" }, "m");
    expect(JSON.stringify(lines())).not.toMatch(/Bearer|a=3|"4"/);
    expect(lines()[0]).toMatchObject({ authorization: "[secret]", headers: { authorization: "[secret]", accept: "*/*" } });
  });

  test("the level says what is written", () => {
    const { logger, lines } = logging("warn");
    logger.debug({}, "debug");
    logger.info({}, "info");
    logger.warn({}, "warn");
    logger.error({}, "error");
    expect(lines().map(({ msg }) => msg)).toEqual(["warn", "error"]);
    expect([logger.isEnabled("info"), logger.isEnabled("error")]).toEqual([false, true]);
    const silent = logging("silent");
    silent.logger.error({}, "error");
    expect(silent.lines()).toEqual([]);
  });
});
