/** Which page an address means. Links in mails have the form `index.html?job=ID`. */

export type Tab = "look" | "report" | "files" | "share";
/** `tab` is of an ended job; without it, the first that there is. */
export type Route = { page: "home" } | { page: "new" } | { page: "job"; id: string; tab?: Tab };

const TABS: readonly string[] = ["look", "report", "files", "share"] satisfies Tab[];
const ID = /^[a-z0-9][a-z0-9-]{2,63}$/; // JOB_ID_PATTERN of spaceport/pipeline/contract.py

export function routeOf(search: string): Route {
  const query = new URLSearchParams(search);
  const id = query.get("job");
  const tab = query.get("tab");
  if (id !== null && ID.test(id)) return { page: "job", id, ...(tab !== null && TABS.includes(tab) ? { tab: tab as Tab } : {}) };
  return query.has("new") ? { page: "new" } : { page: "home" };
}

/** Whoever opens a job by its address mostly comes to see its model. */
export const asksForModel = (route: Route): boolean => route.page === "job" && (route.tab ?? "look") === "look";

export function addressOf(route: Route): string {
  if (route.page === "home") return "./";
  if (route.page === "new") return "./?new";
  return `./?job=${encodeURIComponent(route.id)}${route.tab ? `&tab=${route.tab}` : ""}`;
}
