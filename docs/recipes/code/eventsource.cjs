// Follow the events of vSphere with the package eventsource, version 3 or later:
// npm install eventsource@3 && node eventsource.cjs SERVER PLACE [QUERY]
// VSTREAM_TOKEN_FILE names the file with a token, if the server wants one.
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

function get(url, init) {
  const token = process.env.VSTREAM_TOKEN_FILE;
  const who = token && { Authorization: "Bearer " + readFileSync(token, "ascii").trim() };
  return fetch(url, { ...init, headers: { ...init?.headers, ...who } });
}

function follow(path) {
  const events = new EventSource(new URL(path, server), { fetch: get }); // it comes again by itself, where it was
  events.onmessage = (message) => {
    const event = JSON.parse(message.data);
    console.log(event.id, event.time, event.severity, event.data.FullFormattedMessage); // what you do with it
    done(message);
  };
  events.addEventListener("bookmark", done); // how far a filter has looked that passes nothing
  events.onerror = async ({ message }) => {
    if (events.readyState !== EventSource.CLOSED) { // it comes again
      return console.error(`${server}: ${message ?? "no answer"}; trying again`);
    }
    const again = `/api/v1/events?${query}&cursor=${read()}`;
    const [status, text] = await get(new URL(again, server)) // tells why
      .then(async (answer) => [answer.status, await answer.text()])
      .catch(() => [503]);
    if (status === 410) { // the log has dropped what came next: say so, and take what there is
      const problem = JSON.parse(text);
      console.error(`missed up to ${problem.missed} events`);
      follow(problem.resume);
    } else if (status < 400 || status === 429 || status >= 500) {
      setTimeout(() => follow(again), 5000);
    } else { // it does not pass by itself
      console.error(`${server} answers ${status}: ${text}`);
      process.exit(1);
    }
  };
}

follow(`/api/v1/events?${query}&cursor=${read()}`);
