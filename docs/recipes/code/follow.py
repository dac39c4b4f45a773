#!/usr/bin/env python3
"""Follow the events of vSphere, from where the last run ended.

    follow.py SERVER PLACE [QUERY]
    follow.py http://localhost:8080 place.txt 'severity=error,warning'

PLACE is the file that keeps how far it is. VSTREAM_TOKEN_FILE names the file with a token,
if the server wants one. Nothing but Python 3.8 is needed.
"""
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def follow(server, place, query=""):
    """Yield each event, for ever. It counts as dealt with when the next one is asked for."""
    resume = None
    while True:
        url = urllib.parse.urljoin(server, resume or f"/api/v1/events?{query}&cursor={read(place)}")
        wait = 1
        try:
            # A bookmark comes every 15 seconds, so a connection that is silent for longer is dead.
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers()), timeout=60) as stream:
                for name, cursor, data in messages(stream):
                    if name == "message":
                        yield json.loads(data)
                    elif name == "problem":  # why the stream ends; the next request tells more
                        print(json.loads(data)["data"]["detail"], file=sys.stderr)
                    if cursor:
                        write(place, cursor)
                        resume = None
        except urllib.error.HTTPError as err:
            body = err.read()
            if err.code == 410:  # the log has dropped what came next: say so, and take what there is
                problem = json.loads(body)
                print(f"missed up to {problem['missed']} events", file=sys.stderr)
                resume, wait = problem["resume"], 0
            elif err.code == 429 or err.code >= 500:
                wait = int(err.headers.get("Retry-After", 5))
            else:  # it does not pass by itself: no token, another log (409), a filter that is not understood
                raise SystemExit(f"{server} answers {err.code}: {body.decode(errors='replace')}") from err
        except (OSError, http.client.HTTPException) as err:  # the server is away, or restarts
            print(f"{server}: {err or 'no answer'}; trying again", file=sys.stderr)
        time.sleep(wait)


def headers():
    """Return what a request has to say: what we take, and who we are."""
    said = {"Accept": "text/event-stream"}
    if token := os.environ.get("VSTREAM_TOKEN_FILE"):
        with open(token, encoding="ascii") as f:
            said["Authorization"] = "Bearer " + f.read().strip()
    return said


def messages(lines):
    """Yield (name, id, data) of each server-sent event that is whole."""
    name, cursor, data = "message", "", ""
    for line in lines:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            cursor = value
        elif field == "data":
            data += value
        elif field == "":
            if data:
                yield name, cursor, data
            name, cursor, data = "message", "", ""


def read(place):
    try:
        with open(place, encoding="ascii") as f:
            return f.read().strip() or "~"
    except FileNotFoundError:
        return "~"  # before everything


def write(place, cursor):
    with open(place + ".new", "w", encoding="ascii") as f:
        f.write(cursor + "\n")
    os.replace(place + ".new", place)


if __name__ == "__main__":
    for event in follow(*sys.argv[1:]):
        # What you do with it.
        print(event["id"], event["time"], event["severity"], event["data"]["FullFormattedMessage"], flush=True)
