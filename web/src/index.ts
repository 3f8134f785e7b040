/** The page: signs in, and draws whatever the store holds. */
import { html, nothing, render } from "lit-html";
import { ourPlace, takeCode } from "./api/auth.ts";
import { exchangeCode, readConfig, storedKey, storeKey, takeLinkCode, type Config } from "./api/config.ts";
import { App, type AppState } from "./app.ts";
import { announcement, announcer } from "./parts/announcer.ts";
import { showTheme, storedTheme, themeSwitch } from "./parts/theme_switch.ts";
import { addressOf, asksForModel, routeOf } from "./route.ts";
import { fetchEngine } from "./viewer/ahead.ts";
import { homeView } from "./views/home.ts";
import { jobView } from "./views/job.ts";
import { keyView } from "./views/key.ts";
import { newView } from "./views/new.ts";
import { APP, KEY, OFFLINE, percent, prepareWords } from "./words/en.ts";
import { hasEnded } from "./api/types.ts";

const root = document.getElementById("page") as HTMLElement;

function page(app: App, state: AppState) {
  const job = state.route.page === "job" ? state.answer?.job : undefined;
  const isKeyRefused = state.keyTrouble === "refused";
  return html`<a class="skip" href="#main">Skip to content</a>
    <header class="sky"><div class="column">
      <a class="brand" href=${addressOf({ page: "home" })}>${APP}</a>
      ${themeSwitch(state.theme, (theme) => app.setTheme(theme))}
      ${state.client ? html`<button class="onsky small" @click=${() => app.access.signOut()}>${KEY.forget}</button>` : nothing}
    </div></header>
    ${state.isOffline ? html`<p class="banner" role="status">${OFFLINE}</p>` : nothing}
    <main id="main" tabindex="-1" ?inert=${isKeyRefused}>${view(app, state)}</main>
    ${isKeyRefused ? html`<div class="veil">${keyView(app, state)}</div>` : nothing}
    ${announcer(job ? announcement(job) : "")}`;
}

function view(app: App, state: AppState) {
  if (state.keyTrouble === "missing" || state.keyTrouble === "used") return keyView(app, state);
  if (state.route.page === "job") return jobView(app, state);
  return state.route.page === "new" ? newView(app, state) : homeView(app, state);
}

function title(state: AppState): string {
  const job = state.route.page === "job" ? state.answer?.job : undefined;
  if (!job) return APP;
  return hasEnded(job) ? `${job.name} · ${APP}` : `${percent(job.percent)} · ${job.name}`;
}

/** Links within the page change the view without loading it again. */
function followLinks(app: App): void {
  root.addEventListener("click", (event) => {
    const link = (event.target as Element).closest("a");
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    const isHere = url.origin === location.origin && url.pathname === new URL("./", location.href).pathname;
    if (!isHere || url.hash || link.hasAttribute("download")) return;
    event.preventDefault();
    app.follow(url.search);
  });
}

/** The token of whoever comes back from signing in. The address loses the code at once, and shows what it showed before. */
async function takeSignIn({ users }: Config): Promise<string | null> {
  const { search } = location;
  if (!users || !new URLSearchParams(search).has("state")) return null;
  history.replaceState(null, "", location.pathname);
  const signedIn = await takeCode(users, ourPlace(), search);
  if (signedIn) history.replaceState(null, "", location.pathname + signedIn.search);
  return signedIn?.token ?? null;
}

async function start(): Promise<void> {
  showTheme(storedTheme());
  const reading = readConfig();
  if (asksForModel(routeOf(location.search))) fetchEngine();
  const config = await reading;
  const code = takeLinkCode(config);
  const signingIn = code === null ? takeSignIn(config) : exchangeCode(code);
  setTimeout(prepareWords); // when the first request is under way
  const key = await signingIn;
  if (key) storeKey(key, false);
  const app = new App(config, key ?? storedKey());
  const draw = () => {
    render(page(app, app.store.state), root);
    document.title = title(app.store.state);
  };
  if (code !== null && key === null) app.access.refuseLink();
  app.store.subscribe(draw);
  followLinks(app);
  draw();
  app.start();
}

start().catch((error: unknown) => {
  render(html`<main><section class="card narrow"><h1>${APP}</h1><p>The page does not know where its Spaceport is: ${String(error)}.</p></section></main>`, root);
});
