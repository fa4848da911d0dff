"""Checks deliveries with the PyPI package standardwebhooks; see src/verify.rs."""
import base64
import json
import sys

from standardwebhooks.webhooks import Webhook

with open(sys.argv[1], encoding="utf-8") as file:
    work = json.load(file)
webhook = Webhook(work["secret"])
answers = []
for delivery in work["deliveries"]:
    try:
        webhook.verify(base64.b64decode(delivery["body"]), delivery["headers"])
        answers.append(None)
    except Exception as error:  # the library raises several kinds, each is a refusal
        answers.append(f"{type(error).__name__}: {error}")
print(json.dumps(answers))
