/** Tickets, for streams that a browser opens without headers of its own. */
import type { Api } from "../api.ts";
import type { ServerParts } from "../env.ts";
import * as schemas from "../schemas.ts";
import { apiRoute, jsonAnswer } from "./route.ts";

const issue = apiRoute("read", {
  method: "post",
  path: "/v1/tickets",
  tags: ["host"],
  summary: "A ticket for one stream: ?ticket= of GET /v1/ws or of a session's events, once and within half a minute",
  responses: { 201: jsonAnswer("the ticket", schemas.Ticket) },
});

export function ticketRoutes(api: Api, { authenticator }: ServerParts): void {
  api.openapi(issue, (c) => {
    c.header("cache-control", "no-store");
    return c.json(authenticator.tickets.issue(c.var.principal), 201);
  });
}
