// vCenter's EventLongDescription: what it says of an event, its causes, and what to do. It is
// XML, which is read here by hand, for the page forbids itself the browser's parsers.

/** What a vCenter says of an event: causes, and what to do. */
export interface Advice {
  description: string;
  causes: Cause[];
}

export interface Cause {
  description: string;
  actions: string[];
}

/** Reads vCenter's EventLongDescription. What is not such a document is taken as text. */
export function adviceOf(xml: string): Advice {
  const reader = new Reader();
  return scan(xml, reader) ? reader.advice() : { description: tidy(xml), causes: [] };
}

/** What a scan tells of a document, in its order. */
interface Handler {
  begin(name: string): void;
  end(name: string): void;
  text(text: string): void;
}

/** Reader puts advice together from the elements of a document; those it does not know it looks through. */
class Reader implements Handler {
  private own = "";
  private loose = "";
  private readonly causes: Cause[] = [];
  /** The elements of interest around the place that the scan is at. */
  private readonly around: string[] = [];

  begin(name: string): void {
    this.around.push(name);
    if (name === "cause") this.causes.push({ description: "", actions: [] });
    if (name === "action") this.cause?.actions.push("");
    this.text(" "); // <br/> and the like part words
  }

  end(): void {
    this.around.pop();
    this.text(" ");
  }

  text(text: string): void {
    const { cause } = this;
    const place = this.around.findLast((name) => name === "description" || name === "action");
    if (place === "action" && cause) cause.actions.push((cause.actions.pop() ?? "") + text);
    else if (place === "description" && cause) cause.description += text;
    else if (place === "description") this.own += text;
    else this.loose += text;
  }

  advice(): Advice {
    const causes = this.causes
      .map((c) => ({ description: tidy(c.description), actions: c.actions.map(tidy).filter((a) => a !== "") }))
      .filter((c) => c.description !== "" || c.actions.length > 0);
    const own = tidy(this.own);
    return { description: own === "" && causes.length === 0 ? tidy(this.loose) : own, causes };
  }

  private get cause(): Cause | undefined {
    return this.around.includes("cause") ? this.causes.at(-1) : undefined;
  }
}

/** More elements within one another than this no description has. */
const deepest = 32;

/** Walks through a document once; false if it is not well-formed, as far as that matters here. */
function scan(xml: string, handler: Handler): boolean {
  const open: string[] = [];
  let roots = 0;
  for (let at = 0; at < xml.length; ) {
    const tag = xml.indexOf("<", at);
    const text = xml.slice(at, tag < 0 ? undefined : tag);
    if (open.length > 0) handler.text(entities(text));
    else if (text.trim() !== "") return false;
    if (tag < 0) break;
    const aside = asides.find(([begins]) => xml.startsWith(begins, tag));
    if (aside) {
      const [begins, ends] = aside;
      const end = xml.indexOf(ends, tag + begins.length);
      if (end < 0) return false;
      if (begins === "<![CDATA[" && open.length > 0) handler.text(xml.slice(tag + begins.length, end));
      at = end + ends.length;
      continue;
    }
    tagAt.lastIndex = tag;
    const [whole, closes, name, alone] = tagAt.exec(xml) ?? [];
    if (whole === undefined || name === undefined) return false;
    at = tag + whole.length;
    if (closes) {
      if (open.pop() !== name) return false;
      handler.end(name);
      continue;
    }
    if (open.length === 0) roots++;
    if (roots > 1 || open.length >= deepest) return false;
    handler.begin(name);
    if (alone) handler.end(name);
    else open.push(name);
  }
  return roots === 1 && open.length === 0;
}

/** What is no element: how it begins and ends. */
const asides: [string, string][] = [["<!--", "-->"], ["<![CDATA[", "]]>"], ["<?", "?>"], ["<!", ">"]];

/** A tag: whether it closes, its name, its attributes, whether it is all of its element. */
const tagAt = /<(\/?)([A-Za-z_][\w.:-]{0,100})(?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(\/?)>/y;

const named: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** Entities that XML has of itself are replaced; others stay as they are. */
function entities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-fA-F]{1,6})|([a-z]{2,4}));/g, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return named[name] ?? whole;
    const code = decimal !== undefined ? Number(decimal) : parseInt(hex ?? "", 16);
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
  });
}

function tidy(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}
