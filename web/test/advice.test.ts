import assert from "node:assert/strict";
import { test } from "node:test";
import { adviceOf } from "../src/model/advice";

const text = (description: string) => ({ description, causes: [] });

test("advice has the description, the causes, and what to do about each", () => {
  const xml = `<?xml version="1.0"?><!-- by vCenter -->
    <EventLongDescription id="vim.event.HostConnectionLostEvent">
      <description> The host is
        not responding </description>
      <cause><description>It lost the network &amp; more</description><action>Check the cable</action><action>Restart &lt;hostd&gt;</action></cause>
      <cause><description>It &#x26; &#38; its power</description></cause>
      <cause/>
    </EventLongDescription>`;
  assert.deepEqual(adviceOf(xml), {
    description: "The host is not responding",
    causes: [
      { description: "It lost the network & more", actions: ["Check the cable", "Restart <hostd>"] },
      { description: "It & & its power", actions: [] },
    ],
  });
});

test("elements that nobody knows are looked through, and part words", () => {
  const xml = "<EventLongDescription><description>One<br/>two <b class='x>y'>three</b><![CDATA[ <i>four</i> & five]]></description></EventLongDescription>";
  assert.deepEqual(adviceOf(xml), text("One two three <i>four</i> & five"));
});

test("a document without a description is what is in it", () => {
  assert.deepEqual(adviceOf("<EventLongDescription>Only words</EventLongDescription>"), text("Only words"));
});

test("what is no such document is taken as text", () => {
  for (const xml of [
    "Plain words", "a < b", "<a><b></a></b>", "<a>", "</a>", "<a></a><b></b>", "<a></a>tail", "<a", "<a b=c></a>", "<!-- <a></a>", "<a><![CDATA[ x</a>", "<a x='<'></a>", "<>",
  ]) {
    assert.deepEqual(adviceOf(xml), text(xml), xml);
  }
  assert.deepEqual(adviceOf(""), text(""));
});

test("entities that XML does not know stay, and impossible characters are replaced", () => {
  const xml = `<!DOCTYPE x [<!ENTITY e "boom">]><x><description>&e; &nbsp; &lt;script&gt; &#0; &#xD800; &#9999999; &#x1F600; &amp;lt;</description></x>`;
  assert.equal(adviceOf(xml).description.startsWith("<!DOCTYPE"), true); // subsets of a DTD are not read
  assert.equal(adviceOf(xml.replace(/<!DOCTYPE.*?]>/, "<!DOCTYPE x>")).description, "&e; &nbsp; <script> \ufffd \ufffd \ufffd 😀 &lt;");
});

test("hostile documents are read once, and taken as text", () => {
  const n = 200_000;
  for (const xml of [
    "<a>".repeat(n), "<a ".repeat(n), "<a" + " ".repeat(n), "<a " + "b='c' ".repeat(n), "<a b" + " ".repeat(n), "<!--".repeat(n), "&".repeat(n), "<" + "a".repeat(n) + ">",
    `<a>${"<cause>".repeat(n)}</a>`,
  ]) {
    assert.deepEqual(adviceOf(xml), text(xml.trim().replace(/\s+/g, " ")), xml.slice(0, 20));
  }
});
