// A backend that was written against types generated from the API's description.
import createClient from "openapi-fetch";
import type { components, paths } from "./paywatch.js";

declare const process: { env: Record<string, string> };

const client = createClient<paths>({
  baseUrl: process.env["PAYWATCH_URL"]!,
  headers: { Authorization: `Bearer ${process.env["PAYWATCH_KEY"]}` },
});

const made = await client.POST("/v1/invoices", {
  params: { header: { "Idempotency-Key": "client-1" } },
  body: {
    order_id: "A-1001",
    options: [{ asset: "btc@bitcoin-regtest", amount: "0.00150000" }],
    policy: { tiers: [{ finality: { "bitcoin-regtest": { depth: 2 } } }] },
    metadata: { basket: 7 },
  },
});
if (!made.data) {
  const problem: components["schemas"]["Problem"] = made.error;
  throw new Error(`${problem.code}: ${problem.detail}`);
}

const read = await client.GET("/v1/invoices/{id}", { params: { path: { id: made.data.id } } });
if (!read.data) throw new Error(read.error.code);
const status: components["schemas"]["Invoice"]["status"] = read.data.status;

const missing = await client.GET("/v1/invoices/{id}", { params: { path: { id: "inv_nobody" } } });

// The types refuse what the API refuses.
// @ts-expect-error an option needs an asset
const _option: components["schemas"]["CreateOption"] = { amount: "1" };
// @ts-expect-error there is no such field
const _endpoint: components["schemas"]["CreateEndpoint"] = { url: "https://shop.example", colour: "red" };
// @ts-expect-error there is no such path
void (() => client.GET("/v1/nothing"));

console.log(JSON.stringify({
  id: read.data.id,
  address: made.data.options[0]?.address,
  status,
  missing: missing.error?.code,
}));
