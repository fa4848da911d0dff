// A webhook receiver: verifies, remembers the event, asks for the invoice, fulfils once.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import express from "express";
import { Webhook } from "standardwebhooks";

type Event = { id: string; data: { invoice?: { id: string } } };
type Invoice = { status: string; order_id: string | null };

const { PAYWATCH_URL, PAYWATCH_KEY, WEBHOOK_SECRET = "", PORT = "3000" } = process.env;
const webhook = new Webhook(WEBHOOK_SECRET);

// One file for each event and order; a shop has two tables with primary keys instead.
for (const folder of ["events", "orders"]) mkdirSync(folder, { recursive: true });
const keep = (path: string) => writeFileSync(path, "", { flag: "wx" });

async function ask(path: string, more: RequestInit = {}): Promise<unknown> {
  const headers = { Authorization: `Bearer ${PAYWATCH_KEY}`, "Content-Type": "application/json" };
  const request = { ...more, headers: { ...headers, ...more.headers } };
  const answer = await fetch(`${PAYWATCH_URL}/v1/invoices/${path}`, request);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// What the event says may be old: what counts is what the invoice is now.
async function fulfil(id: string): Promise<void> {
  const invoice = (await ask(id)) as Invoice;
  if (!["paid", "overpaid"].includes(invoice.status) || existsSync(`orders/${id}`)) return;
  // Recorded before the goods leave, under a key that makes a second time the first one.
  const body = JSON.stringify({ description: `order ${invoice.order_id}` });
  const headers = { "Idempotency-Key": `fulfil-${id}` };
  await ask(`${id}/fulfilments`, { method: "POST", body, headers });
  keep(`orders/${id}`);
  console.log("shipped", invoice.order_id);
}

const app = express();
app.post("/hook", express.raw({ type: "*/*" }), async (request, response) => {
  let event: Event;
  try {
    // Over the bytes that arrived, before anything reads them as JSON.
    event = webhook.verify(request.body, request.headers as Record<string, string>) as Event;
  } catch {
    response.status(400).send("the signature does not hold");
    return;
  }
  if (!existsSync(`events/${event.id}`)) {
    // If this fails the answer is 500, and the event comes again.
    if (event.data.invoice) await fulfil(event.data.invoice.id);
    keep(`events/${event.id}`);
  }
  response.send();
});
app.listen(Number(PORT), "127.0.0.1");
