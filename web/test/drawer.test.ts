import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { filled } from "../src/model/catalogue";
import { cliOf, curlOf, permalinkOf } from "../src/model/commands";
import { sh } from "../src/model/copyas";
import { apart, quoted, sentence, visible } from "../src/text";

test("a shell takes a word as it is, whatever is in it", () => {
  for (const word of ["plain", "", "it's", "a b", "$(touch x)", "`id`", "a\nb", "\\", "*", "!!", "~", "-n", "'''", "ü€😀"]) {
    assert.equal(execFileSync("/bin/sh", ["-c", `printf %s ${sh(word)}`], { encoding: "utf8" }), word);
  }
});

test("commands name one event", () => {
  assert.equal(curlOf("https://logs.example.com", "vc 1", "42"), "curl -s https://logs.example.com/api/v1/vcenters/vc%201/events/42");
  assert.equal(cliOf("https://logs.example.com", "vc'1", "42"), "vstream get 42 --vcenter 'vc'\\''1' --server https://logs.example.com");
});

test("a permalink has the event and nothing else", () => {
  assert.equal(permalinkOf("https://logs.example.com/?severity=error&event=vc1%2F3#x", "vc 2", "42"), "https://logs.example.com/?event=vc%202/42");
  assert.equal(new URL(permalinkOf("https://logs.example.com/", "a&b", "42")).searchParams.get("event"), "a&b/42");
});

test("what cannot be seen in a text is spelt out, and what people write stays", () => {
  assert.equal(visible("a\u0007\u001b[31m\u202egnp.exe\0\u0085\u2028"), "a⟨U+0007⟩⟨U+001B⟩[31m⟨U+202E⟩gnp.exe⟨U+0000⟩⟨U+0085⟩⟨U+2028⟩");
  assert.equal(visible("<b>two\r\nlines\tשלום 👩‍💻</b>"), "<b>two\nlines\tשלום 👩‍💻</b>");
  assert.equal(quoted('a"\n\u202e'), '"a\\"\\n\\u202e"');
});

test("what the server says is a sentence", () => {
  assert.equal(sentence("the server does not answer"), "The server does not answer.");
  assert.equal(sentence("It is so."), "It is so.");
});

test("moments are apart as people say it", () => {
  for (const [ms, text] of [[0, "±0 s"], [12, "+12 ms"], [-800, "−0.8 s"], [59_900, "+59.9 s"], [-61_000, "−1 min 1 s"], [3 * 3600_000, "+3 h 0 min"], [100 * 3600_000, "+4 d"]] as const) {
    assert.equal(apart(ms), text);
  }
});

test("descriptions lose the braces of what they are about", () => {
  assert.equal(filled("{host} lost the connection to {datastore.name}"), "Host lost the connection to datastore");
  assert.equal(filled("Insufficient resources for HA to start the VM. Reason: {reason.@enum.fdm}"), "Insufficient resources for HA to start the VM");
  assert.equal(filled("{vm} on {host} lost the network"), "VM on host lost the network");
  assert.equal(filled("vSphere HA failover"), "vSphere HA failover");
  assert.equal(filled(""), "");
});
