import { urlOf } from "../api/client";
import { sh } from "./copyas";

/** The address of an event in the API, of a vCenter by name. */
export function pathOf(vcenter: string, id = ""): string {
  return `/vcenters/${encodeURIComponent(vcenter)}/events${id ? "/" + encodeURIComponent(id) : ""}`;
}

/** Commands that print one event, from a server at an origin. */
export function curlOf(origin: string, vcenter: string, id: string): string {
  return `curl -s ${sh(origin + urlOf(pathOf(vcenter, id)))}`;
}

export function cliOf(origin: string, vcenter: string, id: string): string {
  return `vstream get ${sh(id)} --vcenter ${sh(vcenter)} --server ${sh(origin)}`;
}

/** The address of the page that shows one event, and nothing else of what is shown now. */
export function permalinkOf(page: string, vcenter: string, id: string): string {
  const url = new URL(page);
  url.hash = "";
  url.search = `event=${encodeURIComponent(vcenter)}/${encodeURIComponent(id)}`;
  return url.href;
}
