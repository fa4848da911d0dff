// Checks deliveries with the npm package standardwebhooks; see src/verify.rs.
const { readFileSync } = require("node:fs");
const { Webhook } = require("standardwebhooks");

const work = JSON.parse(readFileSync(process.argv[1], "utf8"));
const webhook = new Webhook(work.secret);
const answers = work.deliveries.map((delivery) => {
  try {
    webhook.verify(Buffer.from(delivery.body, "base64"), delivery.headers);
    return null;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
});
console.log(JSON.stringify(answers));
