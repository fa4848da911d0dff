// Checks v1a signatures of Standard Webhooks with Node's own ed25519; see src/verify.rs.
const { createPublicKey, verify } = require("node:crypto");
const work = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
const raw = Buffer.from(work.secret.replace(/^whpk_/, ""), "base64");
const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
const answers = work.deliveries.map(({ headers, body }) => {
  const head = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
  const content = Buffer.concat([Buffer.from(head), Buffer.from(body, "base64")]);
  const parts = headers["webhook-signature"].split(" ").map((part) => part.split(","));
  const signatures = parts.filter(([version]) => version === "v1a").map(([, text]) => Buffer.from(text, "base64"));
  if (signatures.length === 0) return "there is no v1a signature";
  return signatures.some((signature) => verify(null, content, key, signature)) ? null : "no signature holds";
});
console.log(JSON.stringify(answers));
