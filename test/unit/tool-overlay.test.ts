import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { applyOverlay } from "../../src/core/tool-overlay.ts";

const TOOLS = ["read", "write", "run"];
const someTools = fc.option(fc.subarray(TOOLS), { nil: undefined });

describe("applyOverlay", () => {
  test("a tool is visible when no allow-list is there or it names the tool, and no deny-list names it; the agent's order is kept", () => {
    fc.assert(
      fc.property(someTools, someTools, (allowedTools, blockedTools) => {
        const visible = TOOLS.filter(
          (tool) => (allowedTools === undefined || allowedTools.includes(tool)) && !(blockedTools ?? []).includes(tool),
        );
        expect(applyOverlay(TOOLS, { allowedTools, blockedTools })).toEqual({ ok: true, visible });
      }),
    );
  });

  test.each([
    ["no overlay", undefined, TOOLS],
    ["an empty overlay", {}, TOOLS],
    ["an empty allow-list", { allowedTools: [] }, []],
    ["deny beats allow", { allowedTools: ["read", "run"], blockedTools: ["run"] }, ["read"]],
  ])("%s", (_, overlay, visible) => {
    expect(applyOverlay(TOOLS, overlay)).toEqual({ ok: true, visible });
  });

  test.each([{ allowedTools: ["read", "fly"] }, { blockedTools: ["fly"] }, { allowedTools: [], blockedTools: ["fly"] }])(
    "%j names a tool nobody has",
    (overlay) => {
      expect(applyOverlay(TOOLS, overlay)).toEqual({ ok: false, unknown: "fly" });
    },
  );
});
