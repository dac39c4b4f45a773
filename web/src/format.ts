// Numbers and times as people read them.

const counts = new Intl.NumberFormat("en-US");

export function count(n: number): string {
  return counts.format(n);
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

interface Clock {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  milli: number;
}

function clockOf(at: number, utc: boolean): Clock {
  const d = new Date(at);
  return utc
    ? { year: d.getUTCFullYear(), month: d.getUTCMonth() + 1, day: d.getUTCDate(), hour: d.getUTCHours(), minute: d.getUTCMinutes(), second: d.getUTCSeconds(), milli: d.getUTCMilliseconds() }
    : { year: d.getFullYear(), month: d.getMonth() + 1, day: d.getDate(), hour: d.getHours(), minute: d.getMinutes(), second: d.getSeconds(), milli: d.getMilliseconds() };
}

/** 2026-11-22 */
export function date(at: number, utc: boolean): string {
  const c = clockOf(at, utc);
  return `${c.year}-${two(c.month)}-${two(c.day)}`;
}

/** 14:52:41.738 */
export function time(at: number, utc: boolean): string {
  if (!Number.isFinite(at)) return "";
  const c = clockOf(at, utc);
  return `${two(c.hour)}:${two(c.minute)}:${two(c.second)}.${String(c.milli).padStart(3, "0")}`;
}

/** 14:52 */
export function minute(at: number, utc: boolean): string {
  const c = clockOf(at, utc);
  return `${two(c.hour)}:${two(c.minute)}`;
}

/** +01:00, or Z */
export function zone(at: number, utc: boolean): string {
  if (utc) return "Z";
  const east = -new Date(at).getTimezoneOffset();
  if (east === 0) return "+00:00";
  const size = Math.abs(east);
  return `${east < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** 4 s, 3 min, 2 h, 5 d */
export function span(milliseconds: number): string {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 1) return `${Math.round(s * 10) / 10} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

/** 2 GiB */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${n < 10 && i > 0 ? Math.round(n * 10) / 10 : Math.round(n)} ${units[i]}`;
}
