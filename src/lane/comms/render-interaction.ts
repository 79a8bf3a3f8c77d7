/**
 * An interaction as the user message that an agent in host mode answers:
 *
 *     [MESSAGE from "planner"]                     [REQUEST 0198… from "planner": review]
 *     The build is green.                          {"branch":"main"}
 *
 *     [RESPONSE from "builder" to 0198…: completed]     [EVENT from webhook 0198…]
 *     {"tests":12}                                       the payload
 *
 * The first line is the host's: a name in it is JSON text, so that no name can end it. What follows is the peer's: text as it is, any other
 * value as JSON, nothing where there is none.
 */
import type { Interaction } from "../../protocol/comms.ts";
import type { JsonValue } from "../../protocol/json.ts";

export function renderInteraction(interaction: Interaction): string {
  switch (interaction.kind) {
    case "peer_message":
      return block(`MESSAGE from ${JSON.stringify(interaction.from)}`, interaction.body);
    case "peer_request":
      return block(
        `REQUEST ${interaction.id} from ${JSON.stringify(interaction.from)}: ${oneLine(interaction.intent)}`,
        interaction.params,
      );
    case "peer_response":
      return block(
        `RESPONSE from ${JSON.stringify(interaction.from)} to ${oneLine(interaction.inReplyTo)}: ${interaction.status}`,
        interaction.result,
      );
    case "input":
      return block(`EVENT from ${interaction.source} ${interaction.id}`, interaction.body);
    default:
      return interaction satisfies never;
  }
}

function block(head: string, body: JsonValue | undefined): string {
  if (body === undefined) return `[${head}]`;
  return `[${head}]\n${typeof body === "string" ? body : JSON.stringify(body)}`;
}

/** Plain words stay as they are. */
function oneLine(text: string): string {
  return /^[\w .:/-]+$/.test(text) ? text : JSON.stringify(text);
}
