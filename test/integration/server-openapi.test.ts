/** The OpenAPI document: valid, complete, and true of what the server answers, whatever it is asked. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { expect, test } from "vitest";

import { sharedHost } from "../helpers/hosts.ts";
import { sharedServer } from "../helpers/servers.ts";
import { patiently } from "../helpers/patience.ts";

const ECHO = new URL("../../dist/src/agents/echo.js", import.meta.url);
const service = sharedHost({ agent: ECHO });
const api = sharedServer(service);

/** Requests; what fails is shrunk, and its seed printed. */
const REQUESTS = Number(process.env["OPENAPI_REQUESTS"] ?? 20_000);
/** At a time. */
const BATCH = 40;

interface Operation {
  readonly path: string;
  readonly method: string;
  readonly parameters: readonly { name: string; in: string; schema: JsonSchema }[];
  readonly body: JsonSchema | undefined;
  readonly responses: Record<string, { content?: Record<string, { schema: JsonSchema }> }>;
}
type JsonSchema = Record<string, unknown>;
interface Document {
  paths: Record<
    string,
    Record<
      string,
      {
        parameters?: Operation["parameters"];
        requestBody?: { content: Record<string, { schema: JsonSchema }> };
        responses: Operation["responses"];
      }
    >
  >;
  components: { schemas: Record<string, JsonSchema> };
}

const nameOf = ({ method, path }: { method: string; path: string }): string => `${method} ${path}`;
const documentOf = async (): Promise<Document> => (await api().get<Document>("/openapi.json")).body;

function operationsOf({ paths }: Document): Operation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => ({
      path,
      method,
      parameters,
      body: requestBody?.content["application/json"]?.schema,
      responses,
    })),
  );
}

test("the document is valid OpenAPI 3.1", async () => {
  const { valid, errors } = await new Validator().validate((await documentOf()) as never);
  expect(errors ?? []).toEqual([]);
  expect(valid).toBe(true);
});

test("every route of the API is in it, and every one can answer with a problem document", async () => {
  const operations = operationsOf(await documentOf());
  expect(operations.map(nameOf).sort()).toEqual([
    "delete /v1/sessions/{id}",
    "get /healthz",
    "get /metrics",
    "get /readyz",
    "get /v1/host",
    "get /v1/sessions",
    "get /v1/sessions/{id}",
    "get /v1/sessions/{id}/events",
    "get /v1/sessions/{id}/history",
    "post /v1/sessions",
    "post /v1/sessions/{id}/fork",
    "post /v1/sessions/{id}/hibernate",
    "post /v1/sessions/{id}/interrupt",
    "post /v1/sessions/{id}/release-quarantine",
    "post /v1/sessions/{id}/system-context",
    "post /v1/sessions/{id}/turns",
    "post /v1/tickets",
  ]);
  for (const { path, responses } of operations) {
    if (path.startsWith("/v1")) expect(responses["default"]?.content).toHaveProperty(["application/problem+json"]);
  }
});

/** A value that fits a schema, or nearly, or not at all. */
function valueOf(schema: JsonSchema, components: Document["components"]["schemas"]): fc.Arbitrary<unknown> {
  const reference = schema["$ref"] as string | undefined;
  if (reference !== undefined) return valueOf(components[reference.slice(reference.lastIndexOf("/") + 1)] as JsonSchema, components);
  if (Array.isArray(schema["enum"])) return fc.constantFrom(...(schema["enum"] as unknown[]));
  switch (schema["type"]) {
    case "string":
      return fc.string({ minLength: Number(schema["minLength"] ?? 0), maxLength: 24, unit: "grapheme" });
    case "integer":
      return fc.integer({ min: Number(schema["minimum"] ?? 0), max: Number(schema["maximum"] ?? 1000) });
    case "number":
      return fc.double({ min: 1, max: 1000, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(valueOf((schema["items"] ?? {}) as JsonSchema, components), { maxLength: 3 });
    case "object": {
      const members = Object.entries((schema["properties"] ?? {}) as Record<string, JsonSchema>);
      if (members.length === 0)
        return fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), fc.string({ maxLength: 8 }), { maxKeys: 3 });
      const required = (schema["required"] ?? []) as string[];
      const optional = members.map(([name]) => name).filter((name) => !required.includes(name));
      const arbitraries = Object.fromEntries(members.map(([name, member]) => [name, valueOf(member, components)]));
      // Few optional members at a time: of many, one would nearly always be refused.
      return fc.subarray(optional, { maxLength: Math.min(2, optional.length) }).chain((chosen) => {
        return fc.record(Object.fromEntries([...required, ...chosen].map((name) => [name, arbitraries[name] as fc.Arbitrary<unknown>])));
      });
    }
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

/** What is sent in place of a good body, or as one of its members. */
const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(null, -1, 1e308, "", "\u0000", "__proto__", [], {}, [[]], "x".repeat(300)),
);

interface Request {
  /** Of the operation, which would make a long report of a counterexample. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly accept: string | undefined;
  readonly type: string;
}

function requestsOf(
  operations: readonly Operation[],
  components: Document["components"]["schemas"],
  ids: readonly string[],
): fc.Arbitrary<Request> {
  const encoded = (value: unknown): string =>
    encodeURIComponent(typeof value === "string" ? value : JSON.stringify(value)).replaceAll("%00", "");
  const one = (operation: Operation): fc.Arbitrary<Request> => {
    const id = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...ids) },
      { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }) },
    );
    const inQuery = operation.parameters.filter((parameter) => parameter.in === "query");
    const query = fc.record(
      Object.fromEntries(
        inQuery.map(({ name, schema }) => [
          name,
          fc.oneof({ weight: 3, arbitrary: valueOf(schema, components) }, { weight: 1, arbitrary: odd }),
        ]),
      ),
      { requiredKeys: [] },
    );
    const good = operation.body === undefined ? fc.constant(undefined) : valueOf(operation.body, components);
    const body = fc.oneof(
      { weight: 4, arbitrary: good.map((value) => (value === undefined ? undefined : JSON.stringify(value))) },
      {
        weight: 2,
        arbitrary: fc
          .tuple(good, fc.string({ maxLength: 12 }), odd)
          .map(([value, name, wrong]) => JSON.stringify({ ...(value as object | undefined), [name]: wrong })),
      },
      { weight: 1, arbitrary: odd.map((value) => JSON.stringify(value)) },
      { weight: 1, arbitrary: fc.string({ maxLength: 40 }) },
    );
    return fc
      .record({
        id,
        query,
        body: operation.method === "get" ? fc.constant(undefined) : body,
        accept: fc.constantFrom(undefined, undefined, "application/json", "*/*", "text/event-stream", "image/png", ";;q"),
        type: fc.constantFrom("application/json", "application/json", "application/json; charset=utf-8", "text/plain"),
      })
      .map((drawn) => {
        const search = Object.entries(drawn.query).map(([name, value]) => `${name}=${encoded(value)}`);
        const path = operation.path.replace("{id}", encodeURIComponent(drawn.id)) + (search.length > 0 ? `?${search.join("&")}` : "");
        return { name: nameOf(operation), method: operation.method, path, body: drawn.body, accept: drawn.accept, type: drawn.type };
      });
  };
  return fc.oneof(...operations.map(one));
}

test(`${REQUESTS} requests, valid and damaged: never a 500, always what the document says or a problem document`, async () => {
  const document = await documentOf();
  const operations = operationsOf(document);
  const ajv = new Ajv2020({ strict: false });
  (addFormats as unknown as (target: Ajv2020) => void)(ajv);
  ajv.addSchema({ $id: "document", components: document.components });
  const schemaOf = (schema: JsonSchema): JsonSchema => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')) as JsonSchema;
  const validators = new Map<JsonSchema, ReturnType<Ajv2020["compile"]>>();
  const assertFits = (schema: JsonSchema, value: unknown): void => {
    const validate = validators.get(schema) ?? ajv.compile(schemaOf(schema));
    validators.set(schema, validate);
    if (validate(value) !== true) expect({ value, errors: validate.errors }).toEqual("what the document says");
  };
  const ids = await Promise.all(Array.from({ length: 50 }, () => api().session()));
  const statuses: Record<number, number> = {};

  const byName = new Map(operations.map((operation) => [nameOf(operation), operation]));
  const ask = async ({ name, method, path, body, accept, type }: Request): Promise<void> => {
    const operation = byName.get(name);
    const leave = new AbortController();
    const response = await fetch(api().url + path, {
      method,
      signal: leave.signal,
      headers: { ...(body !== undefined && body !== "" && { "content-type": type }), ...(accept !== undefined && { accept }) },
      ...(body !== undefined && body !== "" && { body }),
    });
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
    const kind = response.headers.get("content-type")?.split(";")[0];
    if (kind === "text/event-stream") {
      leave.abort();
      return;
    }
    const text = await response.text();
    expect(response.status, `${method} ${path} ${body ?? ""}: ${text}`).not.toBe(500);
    if (response.status === 204) return;
    const described =
      operation?.responses[String(response.status)]?.content?.[kind ?? ""] ?? operation?.responses["default"]?.content?.[kind ?? ""];
    if (described === undefined) expect(`${response.status} ${kind}`).toBe("in the document");
    else assertFits(described.schema, kind === "text/plain" ? text : JSON.parse(text));
    if (response.status >= 400 && path.startsWith("/v1")) expect(kind).toBe("application/problem+json");
  };

  const batches = fc.array(requestsOf(operations, document.components.schemas, ids), { minLength: BATCH, maxLength: BATCH });
  const property = fc.asyncProperty(batches, (requests) =>
    patiently(
      Promise.all(requests.map(ask)).then(() => {}),
      60,
      () => "a batch",
    ),
  );
  await fc.assert(property, { numRuns: REQUESTS / BATCH, endOnFailure: true });
  for (const status of [200, 201, 204, 400, 404, 406, 415]) expect(statuses).toHaveProperty(String(status));
  expect(service().inspect().turns.running).toBe(0);
}, 300_000);
