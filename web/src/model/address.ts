// Addresses of pages, as the server gives them, a little changed.

/** The address of a page with another limit. */
export function withLimit(url: string, limit: number): string {
  const [path = "", query = ""] = url.split("?");
  const params = new URLSearchParams(query);
  params.set("limit", String(limit));
  return `${path}?${params}`;
}

/** The address of the page before, of all vCenters but one; null if there is no other. */
export function withoutVCenter(url: string, vcenter: string): string | null {
  const [path = "", query = ""] = url.split("?");
  const params = new URLSearchParams(query);
  const all = (params.get("before") ?? "").split("~");
  const others = all.filter((position) => !position.startsWith(vcenter + "."));
  if (others.length === 0 || others.length === all.length) return null;
  params.set("before", others.join("~"));
  return `${path}?${params}`;
}

/** The position in an address that the server gave: cursor or offset. */
export function placeOf(resume: string): Record<string, string> {
  const params = new URLSearchParams(resume.slice(resume.indexOf("?") + 1));
  for (const name of ["cursor", "offset"]) {
    const value = params.get(name);
    if (value !== null) return { [name]: value };
  }
  return { offset: "earliest" };
}
