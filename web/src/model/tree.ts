// A JSON value as the lines of a tree, of which only those of open nodes are there.

export interface Node {
  /** Where it is, as jq has it: .data.Vm.Name. Parts of arrays have a path that is theirs only. */
  path: string;
  /** Its name or number in what it is in. */
  name: string;
  /** 1 for the members of the value itself. */
  level: number;
  value: unknown;
  /** What it has under it; 0 for what is no object or array, or is empty. */
  size: number;
  open: boolean;
  /** Its place among its siblings, from 1, and how many these are. */
  place: number;
  of: number;
  /** The path of what it is in; "" at level 1. */
  parent: string;
  /** Whether it is a stretch of a long array or object, not a value of its own. */
  part: boolean;
}

/** Of longer arrays and objects so many members are shown together. */
export const partSize = 100;
/** Longer texts are folded. */
export const longText = 160;
/** Nothing is shown deeper than this; vSphere has no such events. */
const deepest = 100;

export interface Shape {
  /** The paths of what is open. */
  open: ReadonlySet<string>;
  /** Leaves out null, "", 0, false and what is empty or has only such. */
  terse: boolean;
}

/** The lines of a value that can be seen, from the top. */
export function linesOf(value: unknown, shape: Shape): Node[] {
  const lines: Node[] = [];
  addMembers(lines, membersOf(value, "", shape.terse), 1, "", shape);
  return lines;
}

interface Member {
  path: string;
  name: string;
  value: unknown;
}

function addMembers(lines: Node[], members: Member[], level: number, parent: string, shape: Shape): void {
  if (level > deepest) return;
  if (members.length > partSize) {
    addParts(lines, members, level, parent, shape);
    return;
  }
  members.forEach((m, i) => {
    const under = membersOf(m.value, m.path, shape.terse);
    const folded = typeof m.value === "string" && m.value.length > longText;
    const open = shape.open.has(m.path) && (under.length > 0 || folded);
    lines.push({ ...m, level, size: under.length, open, place: i + 1, of: members.length, parent, part: false });
    if (open) addMembers(lines, under, level + 1, m.path, shape);
  });
}

function addParts(lines: Node[], members: Member[], level: number, parent: string, shape: Shape): void {
  const size = members.length > partSize * partSize ? partSize * partSize : partSize;
  const parts = Math.ceil(members.length / size);
  for (let i = 0; i < parts; i++) {
    const of = members.slice(i * size, (i + 1) * size);
    const path = `${parent}[${i * size}–${i * size + of.length - 1}]`;
    const open = shape.open.has(path);
    const name = `${i * size} – ${i * size + of.length - 1}`;
    lines.push({ path, name, level, value: undefined, size: of.length, open, place: i + 1, of: parts, parent, part: true });
    if (open) addMembers(lines, of, level + 1, path, shape);
  }
}

function membersOf(value: unknown, path: string, terse: boolean): Member[] {
  if (typeof value !== "object" || value === null) return [];
  const members: Member[] = Array.isArray(value)
    ? value.map((v, i) => ({ path: `${path || "."}[${i}]`, name: String(i), value: v as unknown }))
    : Object.entries(value).map(([name, v]) => ({ path: path + keyOf(name, path === ""), name, value: v as unknown }));
  return terse ? members.filter((m) => saysSomething(m.value)) : members;
}

/** How jq gets to a member. */
function keyOf(name: string, first: boolean): string {
  if (/^[A-Za-z_]\w*$/.test(name)) return "." + name;
  return `${first ? "." : ""}[${JSON.stringify(name)}]`;
}

function saysSomething(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value !== null && value !== "" && value !== 0 && value !== false;
  return Object.values(value).some(saysSomething);
}

/** Whether a line can be opened. */
export function opens(node: Node): boolean {
  return node.size > 0 || (typeof node.value === "string" && node.value.length > longText);
}

/** A branch in a word: { 14 }, [ 3 ]. */
export function summaryOf(node: Node): string {
  if (node.part) return "";
  return Array.isArray(node.value) ? (node.size > 0 ? `[ ${node.size} ]` : "[]") : node.size > 0 ? `{ ${node.size} }` : "{}";
}

/** What an arrow key does at a line of a tree: another line to be at, or to open or close this one. */
export function keyAt(lines: Node[], at: number, key: string): { to: number } | { toggle: true } | null {
  const node = lines[at];
  if (!node) return null;
  switch (key) {
    case "ArrowDown":
      return { to: Math.min(lines.length - 1, at + 1) };
    case "ArrowUp":
      return { to: Math.max(0, at - 1) };
    case "Home":
      return { to: 0 };
    case "End":
      return { to: lines.length - 1 };
    case "ArrowRight":
      if (!opens(node)) return null;
      return node.open ? { to: node.size > 0 ? at + 1 : at } : { toggle: true };
    case "ArrowLeft": {
      if (node.open) return { toggle: true };
      const parent = lines.findIndex((l) => l.path === node.parent);
      return parent < 0 ? null : { to: parent };
    }
    case "Enter":
    case " ":
      return opens(node) ? { toggle: true } : null;
  }
  return null;
}
