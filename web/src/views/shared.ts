/** One job for the holder of a link: the model, and as far as the link goes the report and the files. */
import { html, nothing } from "lit-html";
import { posterOf, type SharedAnswer } from "../api/shared.ts";
import type { Client } from "../api/client.ts";
import { END_STATES } from "../api/types.ts";
import { filesTab } from "../parts/files_tab.ts";
import { tabBar, tabPanel } from "../parts/tabs.ts";
import { themeSwitch, type Theme } from "../parts/theme_switch.ts";
import type { Tab } from "../route.ts";
import type { ShareState } from "../share_page.ts";
import "../parts/shared_report.ts";
import type { Pose } from "../parts/report/types.ts";
import "../viewer/splat_view.ts";
import { stand } from "../viewer/stand.ts";
import { APP, figures, HEADLINES, OFFLINE, SHARED, TABS } from "../words/en.ts";

/** Of the API: where the model of a link is. */
export const SHARED_MODEL = "/shared/model";

export interface Shown {
  tab: Tab;
  /** Tabs that were shown: what is in them is kept. */
  before: Set<Tab>;
  theme: Theme;
  redraw(): void;
}

export function sharedView(state: ShareState, shown: Shown) {
  const choose = (theme: Theme) => {
    shown.theme = theme;
    shown.redraw();
  };
  return html`<a class="skip" href="#main" @click=${skip}>Skip to content</a>
    <header class="sky"><div class="column"><span class="brand">${APP}</span>${themeSwitch(shown.theme, choose)}</div></header>
    ${state.isOffline ? html`<p class="banner" role="status">${OFFLINE}</p>` : nothing}
    <main id="main" class="shared" tabindex="-1">${content(state, shown)}</main>`;
}

/** The address has to keep its token, so the link's own way is not taken. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function content({ client, answer, isInvalid, trouble }: ShareState, shown: Shown) {
  if (isInvalid) return card(SHARED.invalidTitle, SHARED.invalid);
  if (client && answer) return html`${band(answer)}${tabs(client, answer, shown)}`;
  if (trouble) return card(SHARED.trouble, trouble);
  return html`<section class="column"><p class="note" role="status" aria-busy="true">${SHARED.loading}</p></section>`;
}

function card(title: string, text: string) {
  return html`<section class="card narrow"><h1>${title}</h1><p>${text}</p></section>`;
}

function band(answer: SharedAnswer) {
  const { job } = answer;
  const isReady = answer.model;
  const facts = [SHARED.made(job.created_at), ...(isReady ? figures(job.counts) : []), SHARED.until(answer.expires_at)];
  return html`<section class="sky"><div class="column">
    <h1>${job.name}</h1>
    ${isReady ? nothing : html`<p class="second">${HEADLINES[job.state]}.${END_STATES.has(job.state) ? "" : ` ${SHARED.wait}`}</p>`}
    <p class="muted">${facts.join(" · ")}</p>
  </div></section>`;
}

function tabs(client: Client, answer: SharedAnswer, shown: Shown) {
  const there = tabsOf(answer);
  const tab = there.includes(shown.tab) ? shown.tab : there[0];
  if (!tab) return nothing;
  shown.before.add(tab);
  const show = (next: Tab) => {
    shown.tab = next;
    shown.redraw();
  };
  const panels: Partial<Record<Tab, () => unknown>> = {
    look: () => look(client, answer),
    report: () => report(answer, () => show("look")),
    files: () => filesTab(answer.links ?? []),
  };
  const panel = (id: Tab) => panels[id]?.();
  return html`
    ${there.length > 1 ? html`<div class="sky"><div class="column">${tabBar(SHARED.tabs, there.map((id) => ({ id, label: TABS[id] })), tab, show)}</div></div>` : nothing}
    ${there.map((id) => (there.length > 1 ? tabPanel(id, id === tab, shown.before.has(id) ? panel(id) : nothing) : panel(id)))}`;
}

/** The tabs that have something in them, for this link. */
export function tabsOf(answer: SharedAnswer): Tab[] {
  const tabs: [Tab, boolean][] = [
    ["look", answer.model || answer.pictures.length > 0],
    ["report", Object.keys(answer.report ?? {}).length > 0],
    ["files", (answer.links ?? []).length > 0],
  ];
  return tabs.filter(([, isThere]) => isThere).map(([tab]) => tab);
}

function look(client: Client, answer: SharedAnswer) {
  const { name } = answer.job;
  if (answer.model) return html`<splat-view .source=${{ client, path: SHARED_MODEL, name, poster: posterOf(answer) }}></splat-view>`;
  const pictures = answer.pictures.filter(({ file }) => file.endsWith(".jpg"));
  return html`<div class="column pictures">
    ${pictures.map(({ url, label }) => html`<figure><img src=${url} alt=${label}><figcaption>${label}</figcaption></figure>`)}
  </div>`;
}

function report(answer: SharedAnswer, showModel: () => void) {
  const pose = (event: Event) => (event as CustomEvent<Pose>).detail;
  const look = (event: Event) => {
    showModel();
    stand(pose(event));
    document.getElementById("tab-look")?.focus();
    scrollTo(0, 0);
  };
  return html`<div class="column" @stand=${(event: Event) => stand(pose(event))} @look=${look}><shared-report .answer=${answer}></shared-report></div>`;
}

/** Where there is no page to draw: it does not know where to ask. */
export function withoutPage(error: unknown) {
  return html`<main><section class="card narrow"><h1>${APP}</h1><p>${SHARED.nowhere(String(error))}</p></section></main>`;
}
