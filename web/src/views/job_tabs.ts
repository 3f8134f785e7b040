/** What an ended job has to show, by tabs: the model, the report, the files, links for others. */
import { html, nothing } from "lit-html";
import type { JobAnswer } from "../api/types.ts";
import type { App, AppState } from "../app.ts";
import { filesTab, picturesOf } from "../parts/files_tab.ts";
import { lookTab } from "../parts/look_tab.ts";
import { reportTab } from "../parts/report_tab.ts";
import { shareTab } from "../parts/share_tab.ts";
import { tabBar, tabPanel } from "../parts/tabs.ts";
import type { Tab } from "../route.ts";
import { stand } from "../viewer/stand.ts";
import { TABS } from "../words/en.ts";

/** The tabs that have something in them. */
export function tabsOf({ job, links }: JobAnswer): Tab[] {
  const hasOutputs = Object.keys(job.outputs).length > 0;
  const tabs: [Tab, boolean][] = [
    ["look", job.state === "COMPLETED" || picturesOf(links).length > 0],
    ["report", hasOutputs],
    ["files", links.length > 0],
    ["share", hasOutputs],
  ];
  return tabs.filter(([, isThere]) => isThere).map(([tab]) => tab);
}

/** Null where there is nothing to show. `notes` stand between the bar and what is shown. */
export function jobTabs(app: App, state: AppState, answer: JobAnswer, notes: unknown) {
  const { client, route } = state;
  const tabs = tabsOf(answer);
  const first = tabs[0];
  if (!client || !first || route.page !== "job") return null;
  const shown = route.tab && tabs.includes(route.tab) ? route.tab : first;
  const panels: Record<Tab, () => unknown> = {
    look: () => lookTab(client, answer),
    report: () => reportTab(client, answer, {
      stand,
      look: (pose) => {
        app.showTab("look", shown);
        stand(pose);
        document.getElementById("tab-look")?.focus();
        scrollTo(0, 0);
      },
    }),
    files: () => filesTab(answer.links),
    share: () => shareTab(app, state, answer.job),
  };
  const hasBeenShown = (tab: Tab) => tab === shown || state.shownTabs.includes(tab);
  const buttons = tabs.map((id) => ({ id, label: TABS[id] }));
  return html`<div class="sky"><div class="column">${tabBar(TABS.title, buttons, shown, (tab) => app.showTab(tab, shown))}</div></div>
    ${notes}
    ${tabs.map((tab) => tabPanel(tab, tab === shown, hasBeenShown(tab) ? panels[tab]() : nothing))}`;
}
