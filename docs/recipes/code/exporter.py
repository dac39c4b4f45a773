#!/usr/bin/env python3
"""Tell Prometheus when which events happened last: exporter.py SERVER PLACE PORT [QUERY]"""
import datetime
import http.server
import sys
import threading

from follow import follow  # follow.py, beside this file

last = {}  # the time of the last event, by type and severity: as many as vCenter has


class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        lines = ["# HELP vsphere_event_last_timestamp_seconds When an event of this type happened last.",
                 "# TYPE vsphere_event_last_timestamp_seconds gauge"]
        for (kind, severity), seconds in sorted(last.copy().items()):
            lines.append(f'vsphere_event_last_timestamp_seconds{{type="{kind}",severity="{severity}"}} {seconds:.3f}')
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(("\n".join(lines) + "\n").encode())

    def log_message(self, *_):
        pass


server, place, port, *query = sys.argv[1:]
listener = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Metrics)
print("metrics at port", listener.server_port, flush=True)
threading.Thread(target=listener.serve_forever, daemon=True).start()
for event in follow(server, place, *query):
    when = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()
    key = tuple(event[name].replace("\\", "").replace('"', "") for name in ("type", "severity"))
    last[key] = max(when, last.get(key, 0))
