#!/usr/bin/env python3
"""Send each event to a function or a broker as a CloudEvent: forward.py SERVER PLACE TARGET [QUERY]

An event is sent again until the target has answered with 2xx, so it may come twice, and is
told apart by source and id.
"""
import json
import sys
import time
import urllib.error
import urllib.request

from follow import follow  # follow.py, beside this file


def send(event, target):
    """Return when the target has it."""
    request = urllib.request.Request(target, json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):
                return
        except OSError as err:  # HTTP errors too
            print(f"event {event['id']} is not taken: {err}", file=sys.stderr)
            time.sleep(2)


server, place, target, *query = sys.argv[1:]
for e in follow(server, place, *query):
    send(e, target)
