// Follow the events of vSphere with the package eventsource, version 3 or later:
// npm install eventsource@3 && node eventsource.cjs SERVER PLACE [QUERY]
const { EventSource } = require("eventsource");
const { readFileSync, renameSync, writeFileSync } = require("node:fs");

const [server, place, query = ""] = process.argv.slice(2);

function read() {
  try {
    return readFileSync(place, "ascii").trim() || "~";
  } catch {
    return "~"; // before everything
  }
}

function done({ lastEventId }) {
  writeFileSync(place + ".new", lastEventId + "\n");
  renameSync(place + ".new", place);
}

function follow(path) {
  const url = new URL(path, server);
  const events = new EventSource(url); // it comes again by itself, where it was
  events.onmessage = (message) => {
    const event = JSON.parse(message.data);
    console.log(event.id, event.time, event.severity, event.data.FullFormattedMessage); // what you do with it
    done(message);
  };
  events.addEventListener("bookmark", done); // how far a filter has looked that passes nothing
  events.onerror = async ({ code, message }) => {
    if (events.readyState !== EventSource.CLOSED) return; // it comes again
    const again = `/api/v1/events?${query}&cursor=${read()}`;
    if (code !== 410) { // a proxy without a server behind it, or what does not pass by itself
      console.error(message ?? "the connection failed");
      if (code === undefined || code >= 500) setTimeout(() => follow(again), 5000);
      return;
    }
    const answer = await fetch(new URL(again, server));
    if (answer.status !== 410) return follow(again);
    const problem = await answer.json();
    console.error(`missed up to ${problem.missed} events`);
    follow(problem.resume);
  };
}

follow(`/api/v1/events?${query}&cursor=${read()}`);
