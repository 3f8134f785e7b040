/** `share.html#TOKEN`: one job, for whoever has a link and no account. */
import { render } from "lit-html";
import { readConfig } from "./api/config.ts";
import { showTheme, storedTheme } from "./parts/theme_switch.ts";
import { SharePage } from "./share_page.ts";
import { fetchEngine, fetchModel } from "./viewer/ahead.ts";
import { sharedView, SHARED_MODEL, withoutPage, type Shown } from "./views/shared.ts";
import { APP } from "./words/en.ts";

const root = document.getElementById("page") as HTMLElement;

async function start(): Promise<void> {
  showTheme(storedTheme());
  const reading = readConfig();
  fetchEngine();
  const page = new SharePage(await reading, (client) => fetchModel(client, SHARED_MODEL));
  const shown: Shown = { tab: "look", theme: storedTheme(), before: new Set(), redraw: () => draw() };
  const draw = () => {
    const { answer } = page.store.state;
    render(sharedView(page.store.state, shown), root);
    document.title = answer ? `${answer.job.name} · ${APP}` : APP;
  };
  page.store.subscribe(draw);
  draw();
  page.start();
}

start().catch((error: unknown) => render(withoutPage(error), root));
