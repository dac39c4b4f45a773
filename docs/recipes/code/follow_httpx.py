#!/usr/bin/env python3
"""Follow the events of vSphere with httpx, in an event loop: follow_httpx.py SERVER PLACE [QUERY]"""
import asyncio
import json
import sys
from urllib.parse import urljoin

import httpx

from follow import headers, messages, read, write  # follow.py, beside this file


async def follow(client, server, place, query=""):
    """Yield each event, for ever. It counts as dealt with when the next one is asked for."""
    resume = None
    while True:
        url = urljoin(server, resume or f"/api/v1/events?{query}&cursor={read(place)}")
        wait = 1
        try:
            async with client.stream("GET", url, headers=headers(), timeout=60) as answer:
                if answer.status_code == 410:
                    problem = json.loads(await answer.aread())
                    print(f"missed up to {problem['missed']} events", file=sys.stderr)
                    resume, wait = problem["resume"], 0
                elif answer.status_code == 429 or answer.status_code >= 500:
                    wait = int(answer.headers.get("Retry-After", 5))
                elif answer.is_error:
                    raise SystemExit(f"{server} answers {answer.status_code}: {(await answer.aread()).decode()}")
                else:
                    rest = b""  # not aiter_lines: it also ends lines at characters that JSON may hold
                    async for chunk in answer.aiter_bytes():
                        whole, end, rest = (rest + chunk).rpartition(b"\n\n")
                        for name, cursor, data in messages((whole + end).splitlines()):
                            if name == "message":
                                yield json.loads(data)
                            if cursor:
                                write(place, cursor)
                                resume = None
        except httpx.HTTPError as err:
            print(f"{server}: {err or type(err).__name__}; trying again", file=sys.stderr)
        await asyncio.sleep(wait)


async def main():
    async with httpx.AsyncClient() as client:  # which can have verify=
        async for event in follow(client, *sys.argv[1:]):
            print(event["id"], event["time"], event["severity"], event["data"]["FullFormattedMessage"], flush=True)


if __name__ == "__main__":
    asyncio.run(main())
