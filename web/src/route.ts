/** Which page an address means. Links in mails have the form `index.html?job=ID`. */

export type Route = { page: "home" } | { page: "new" } | { page: "job"; id: string };

const ID = /^[a-z0-9][a-z0-9-]{2,63}$/; // JOB_ID_PATTERN of spaceport/pipeline/contract.py

export function routeOf(search: string): Route {
  const query = new URLSearchParams(search);
  const id = query.get("job");
  if (id !== null && ID.test(id)) return { page: "job", id };
  return query.has("new") ? { page: "new" } : { page: "home" };
}

export function addressOf(route: Route): string {
  if (route.page === "home") return "./";
  if (route.page === "new") return "./?new";
  return `./?job=${encodeURIComponent(route.id)}`;
}
