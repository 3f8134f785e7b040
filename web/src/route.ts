/** Which page an address means. Links in mails have the form `index.html?job=ID`. */

export type Tab = "look" | "files";
export type Route = { page: "home" } | { page: "new" } | { page: "job"; id: string; tab: Tab };

const ID = /^[a-z0-9][a-z0-9-]{2,63}$/; // JOB_ID_PATTERN of spaceport/pipeline/contract.py
const TABS: readonly string[] = ["look", "files"] satisfies Tab[];

export function routeOf(search: string): Route {
  const query = new URLSearchParams(search);
  const id = query.get("job");
  if (id !== null && ID.test(id)) {
    const tab = query.get("tab") ?? "";
    return { page: "job", id, tab: TABS.includes(tab) ? (tab as Tab) : "look" };
  }
  return query.has("new") ? { page: "new" } : { page: "home" };
}

export function addressOf(route: Route): string {
  if (route.page === "home") return "./";
  if (route.page === "new") return "./?new";
  const tab = route.tab === "look" ? "" : `&tab=${route.tab}`;
  return `./?job=${encodeURIComponent(route.id)}${tab}`;
}
