#!/usr/bin/env python3
"""Follow the events of vSphere with requests: follow_requests.py SERVER PLACE [QUERY]"""
import json
import sys
import time
from urllib.parse import urljoin

import requests

from follow import headers, messages, read, write  # follow.py, beside this file


def follow(server, place, query="", session=None):
    """Yield each event, for ever. It counts as dealt with when the next one is asked for."""
    session, resume = session or requests.Session(), None  # a session can have verify=
    while True:
        url = urljoin(server, resume or f"/api/v1/events?{query}&cursor={read(place)}")
        wait = 1
        try:
            with session.get(url, headers=headers(), stream=True, timeout=(10, 60)) as answer:
                if answer.status_code == 410:
                    problem = answer.json()
                    print(f"missed up to {problem['missed']} events", file=sys.stderr)
                    resume, wait = problem["resume"], 0
                elif answer.status_code == 429 or answer.status_code >= 500:
                    wait = int(answer.headers.get("Retry-After", 5))
                elif not answer.ok:
                    raise SystemExit(f"{server} answers {answer.status_code}: {answer.text}")
                else:
                    for name, cursor, data in messages(answer.iter_lines(chunk_size=None)):
                        if name == "message":
                            yield json.loads(data)
                        if cursor:
                            write(place, cursor)
                            resume = None
        except requests.RequestException as err:
            print(f"{server}: {err}; trying again", file=sys.stderr)
        time.sleep(wait)


if __name__ == "__main__":
    for event in follow(*sys.argv[1:]):
        print(event["id"], event["time"], event["severity"], event["data"]["FullFormattedMessage"], flush=True)
