// Texts of events are written by strangers, and shown as they are, but for what has no shape.

/** Control characters but tab and newline, and those that turn the direction of what follows. */
const invisible = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/** A text in which nothing acts on the page or on what stands beside it: control characters are spelt out. */
export function visible(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(invisible, (c) => `⟨U+${hex(c).toUpperCase()}⟩`);
}

/** A text as JSON has it, with everything escaped that cannot be seen. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(invisible, (c) => "\\u" + hex(c));
}

function hex(c: string): string {
  return c.charCodeAt(0).toString(16).padStart(4, "0");
}

/** What a server says of a problem, as a sentence of its own. */
export function sentence(text: string): string {
  return visible(text.charAt(0).toUpperCase() + text.slice(1)) + (/[.!?]$/.test(text) ? "" : ".");
}

/** How far apart two moments are, in milliseconds: +12 ms, −0.8 s, +3 min. */
export function apart(milliseconds: number): string {
  const size = Math.abs(milliseconds);
  const sign = milliseconds < 0 ? "−" : "+";
  if (size < 1) return "±0 s";
  if (size < 100) return `${sign}${Math.round(size)} ms`;
  if (size < 60_000) return `${sign}${(size / 1000).toFixed(1)} s`;
  if (size < 90 * 60_000) return `${sign}${Math.floor(size / 60_000)} min ${Math.floor((size % 60_000) / 1000)} s`;
  if (size < 36 * 3600_000) return `${sign}${Math.floor(size / 3600_000)} h ${Math.floor((size % 3600_000) / 60_000)} min`;
  return `${sign}${Math.round(size / 86400_000)} d`;
}
