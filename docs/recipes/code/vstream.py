"""An event source for Event-Driven Ansible: the events of vSphere, from where the last run ended.

Arguments:
  server: address of the vstream server
  place:  file that keeps how far it is
  query:  which events, as in severity=error,warning; all by default
"""
import asyncio
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from follow import follow  # noqa: E402  follow.py, beside this file


async def main(queue, args):
    events = follow(args["server"], args["place"], args.get("query", ""))
    while True:
        # To ask for the next is to have dealt with the one before: it is in the queue.
        await queue.put(plain(await asyncio.to_thread(next, events)))


def plain(value):
    """Return value without what Ansible takes for a template, as "{{ }}" is to it wherever it stands:
    who may name a machine, or fails to log in, chooses what is in an event."""
    if isinstance(value, str):
        return re.sub(r"\{(?=[{%#]|\Z)", "{ ", value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


if __name__ == "__main__":  # to try it without Ansible

    class Queue:
        async def put(self, event):
            print(event["id"], event["type"], event["data"]["FullFormattedMessage"], flush=True)

    asyncio.run(main(Queue(), {"server": sys.argv[1], "place": sys.argv[2]}))
