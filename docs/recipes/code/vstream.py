"""An event source for Event-Driven Ansible: the events of vSphere, from where the last run ended.

Arguments:
  server: address of the vstream server
  place:  file that keeps how far it is
  query:  which events, as in severity=error,warning; all by default
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from follow import follow  # noqa: E402  follow.py, beside this file


async def main(queue, args):
    events = follow(args["server"], args["place"], args.get("query", ""))
    while True:
        # To ask for the next is to have dealt with the one before: it is in the queue.
        await queue.put(await asyncio.to_thread(next, events))


if __name__ == "__main__":  # to try it without Ansible

    class Queue:
        async def put(self, event):
            print(event["id"], event["type"], flush=True)

    asyncio.run(main(Queue(), {"server": sys.argv[1], "place": sys.argv[2]}))
