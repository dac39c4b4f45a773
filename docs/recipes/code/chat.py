#!/usr/bin/env python3
"""Tell a channel of Slack or Teams of events: chat.py SERVER PLACE [QUERY]

WEBHOOK_FILE names the file with the address of the webhook, which is a secret.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request

from follow import follow  # follow.py, beside this file

with open(os.environ["WEBHOOK_FILE"], encoding="ascii") as f:
    WEBHOOK = f.read().strip()


def text(event):
    message = event["data"]["FullFormattedMessage"].replace("&", "&amp;").replace("<", "&lt;")  # no mentions
    return f"{event['severity'].upper()} {event['id']} at {event['time']}: {message}"


def body(event):
    if "hooks.slack.com" in WEBHOOK or os.environ.get("CHAT") == "slack":
        return {"text": text(event)}
    return {"type": "message", "attachments": [{  # Teams: "When a Teams webhook request is received"
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "wrap": True, "text": text(event)}]}}]}


def tell(event):
    """Return when the channel has it."""
    data = json.dumps(body(event)).encode()
    while True:
        try:
            request = urllib.request.Request(WEBHOOK, data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30):
                return
        except urllib.error.HTTPError as err:
            wait = int(err.headers.get("Retry-After", 5))
            print(f"the webhook answers {err.code}", file=sys.stderr)
        except OSError as err:
            wait = 5
            print(f"the webhook cannot be reached: {type(err).__name__}", file=sys.stderr)
        time.sleep(wait)


for e in follow(*sys.argv[1:]):
    tell(e)
