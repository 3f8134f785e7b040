/** Tabs as ARIA has them: one stop of the Tab key, arrows and Home and End go along, and what is arrived at is shown. */
import { html } from "lit-html";

export interface TabButton<T extends string> {
  id: T;
  label: string;
}

/** Which tab a key leads to from the one at `at`; null for keys that are not the tabs'. */
export function tabOfKey(key: string, at: number, count: number): number | null {
  if (key === "ArrowRight") return (at + 1) % count;
  if (key === "ArrowLeft") return (at + count - 1) % count;
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

/** The bar; each panel is `tabPanel` with the same id. */
export function tabBar<T extends string>(label: string, tabs: readonly TabButton<T>[], shown: T, show: (tab: T) => void) {
  const onKey = (event: KeyboardEvent) => {
    const next = tabOfKey(event.key, tabs.findIndex(({ id }) => id === shown), tabs.length);
    const tab = next === null ? undefined : tabs[next];
    if (!tab || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(tab.id);
    document.getElementById(`tab-${tab.id}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} @keydown=${onKey}>
    ${tabs.map(({ id, label }) => html`<button id=${`tab-${id}`} role="tab" class="onsky" aria-selected=${id === shown ? "true" : "false"}
      aria-controls=${`panel-${id}`} tabindex=${id === shown ? 0 : -1} @click=${() => show(id)}>${label}</button>`)}
  </div>`;
}

export function tabPanel(id: string, isShown: boolean, content: unknown) {
  return html`<section class="panel" id=${`panel-${id}`} role="tabpanel" aria-labelledby=${`tab-${id}`} ?hidden=${!isShown}>${content}</section>`;
}
