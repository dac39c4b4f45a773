// Follow the events of vSphere, from where the last run ended: node follow.mjs SERVER PLACE [QUERY]
// VSTREAM_TOKEN_FILE names the file with a token, if the server wants one. Nothing but Node 18 is needed.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const [server, place, query = ""] = process.argv.slice(2);

// Yields each event, for ever. It counts as dealt with when the next one is asked for.
async function* follow() {
  let resume;
  for (;;) {
    const url = new URL(resume ?? `/api/v1/events?${query}&cursor=${read()}`, server);
    let wait = 1;
    try {
      const headers = { Accept: "text/event-stream" };
      const token = process.env.VSTREAM_TOKEN_FILE;
      if (token) headers.Authorization = "Bearer " + readFileSync(token, "ascii").trim();
      // A bookmark comes every 15 seconds, so a connection that is silent for longer is dead.
      const dead = new AbortController();
      let timer = setTimeout(() => dead.abort(), 60_000);
      const answer = await fetch(url, { headers, signal: dead.signal });
      if (answer.status === 410) { // the log has dropped what came next: say so, and take what there is
        const problem = await answer.json();
        console.error(`missed up to ${problem.missed} events`);
        [resume, wait] = [problem.resume, 0];
      } else if (answer.status === 429 || answer.status >= 500) {
        wait = Number(answer.headers.get("Retry-After")) || 5;
      } else if (!answer.ok) { // it does not pass by itself
        console.error(`${server} answers ${answer.status}: ${await answer.text()}`);
        process.exit(1);
      } else {
        let rest = "";
        for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
          clearTimeout(timer);
          timer = setTimeout(() => dead.abort(), 60_000);
          const records = (rest + text).split("\n\n");
          rest = records.pop();
          for (const record of records) {
            const fields = Object.fromEntries(record.split("\n").map((line) => line.split(/: (.*)/s, 2)));
            if (!fields.event && fields.data) yield JSON.parse(fields.data);
            if (fields.id) {
              write(fields.id);
              resume = undefined;
            }
          }
        }
      }
      clearTimeout(timer);
    } catch (err) {
      if (!(err instanceof TypeError || err.name === "AbortError")) throw err;
      console.error(`${server}: ${err.cause ?? err}; trying again`); // fetch: it is away, or restarts
    }
    await sleep(wait * 1000);
  }
}

function read() {
  try {
    return readFileSync(place, "ascii").trim() || "~";
  } catch {
    return "~"; // before everything
  }
}

function write(cursor) {
  writeFileSync(place + ".new", cursor + "\n");
  renameSync(place + ".new", place);
}

for await (const event of follow()) {
  // What you do with it.
  console.log(event.id, event.time, event.severity, event.data.FullFormattedMessage);
}
