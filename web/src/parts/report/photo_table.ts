/** A row for each photo: what became of it, and how like it the model is. Of thousands only those that are seen are drawn. */
import { html, nothing } from "lit-html";
import { decibels, REPORT, whole } from "../../words/en.ts";
import { vars } from "../vars.ts";
import { countsOf, psnrShare, windowOf, type Fate, type Order, type PhotoRow, type Shown } from "./rows.ts";
import { thumb } from "./thumb.ts";

export interface TableState {
  shown: Shown;
  order: Order;
  scrollTop: number;
  height: number;
  rowHeight: number;
  isPrinting: boolean;
}
export interface TableActions {
  show(shown: Shown): void;
  sort(order: Order): void;
  scrolled(element: HTMLElement): void;
  choose(row: PhotoRow): void;
}

/** On paper, which cannot be scrolled: enough for an invoice, and no hundred pages. */
const MOST_PRINTED = 300;
const EYE = html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M2 12q10-14 20 0q-10 14-20 0z" /><circle cx="12" cy="12" r="3" /></svg>`;
const MARKS: Record<Fate, string> = { placed: "●", left: "✕", apart: "□" };

export function photoTable(
  all: readonly PhotoRow[], rows: readonly PhotoRow[], files: Record<string, string>, state: TableState, actions: TableActions, canStand: boolean,
) {
  if (!all.length) return nothing;
  const { from, to } = state.isPrinting ? { from: 0, to: Math.min(rows.length, MOST_PRINTED) } : windowOf(rows.length, state.rowHeight, state.scrollTop, state.height);
  const spacer = (count: number) =>
    count && !state.isPrinting ? html`<tr class="spacer" aria-hidden="true"><td colspan="3" ${vars({ "--rows": String(count) })}></td></tr>` : nothing;
  return html`<section><h2>${REPORT.photos}</h2>
    ${filters(all, state, actions)}
    <div class="photos" tabindex="0" role="region" aria-label=${REPORT.photos} @scroll=${(event: Event) => actions.scrolled(event.currentTarget as HTMLElement)}>
      <table aria-rowcount=${rows.length + 1}>
        <thead><tr aria-rowindex="1"><th scope="col">${REPORT.photo}</th><th scope="col">${REPORT.likeness}</th>
          <th scope="col" class="screen"><span class="hidden">${REPORT.stand}</span></th></tr></thead>
        <tbody>
          ${spacer(from)}
          ${rows.slice(from, to).map((row, at) => tableRow(row, from + at + 2, files, actions, canStand))}
          ${spacer(rows.length - to)}
        </tbody>
      </table>
    </div>
    ${state.isPrinting && to < rows.length ? html`<p>${REPORT.more(rows.length - to)}</p>` : nothing}
    <p class="muted">${REPORT.likenessHint}</p></section>`;
}

function filters(all: readonly PhotoRow[], { shown, order }: TableState, actions: TableActions) {
  const counts = countsOf(all);
  const chips: [Shown, number][] = [["all", all.length], ["placed", counts.placed], ["left", counts.left], ["apart", counts.apart]];
  return html`<div class="filters screen"><div class="chips" role="group" aria-label=${REPORT.filter}>
      ${chips.filter(([name, count]) => count || name === "all").map(([name, count]) => html`<button class="chip" aria-pressed=${name === shown ? "true" : "false"}
        @click=${() => actions.show(name)}>${REPORT.fates[name]} ${whole(count)}</button>`)}
    </div>
    <label>${REPORT.order} <select @change=${(event: Event) => actions.sort((event.target as HTMLSelectElement).value as Order)}>
      ${(["flown", "worst"] as const).map((name) => html`<option value=${name} ?selected=${name === order}>${REPORT.orders[name]}</option>`)}
    </select></label></div>`;
}

function tableRow(row: PhotoRow, index: number, files: Record<string, string>, actions: TableActions, canStand: boolean) {
  return html`<tr class="photo" aria-rowindex=${index}>
    <td><div class="cell">${thumb(row.thumb, files)}<span class="about"><bdi class="name" title=${row.name}>${row.name}</bdi>
      <span class="fate ${row.fate}"><span aria-hidden="true">${MARKS[row.fate]}</span> ${row.words}</span></span></div></td>
    <td>${likeness(row)}</td>
    <td class="screen">${canStand && row.camera ? html`<button class="quiet small" aria-label=${REPORT.standAt(row.name)} title=${REPORT.stand}
      @click=${() => actions.choose(row)}>${EYE}</button>` : nothing}</td>
  </tr>`;
}

function likeness({ psnr, isHeldOut }: PhotoRow) {
  if (psnr === null) return html`<span class="muted">${REPORT.notMeasured}</span>`;
  return html`<span class="psnr ${isHeldOut ? "held" : ""}" ${vars({ "--share": String(psnrShare(psnr)) })}></span>
    <span class="figures">${decibels(psnr)}${isHeldOut ? html`<span class="muted">, ${REPORT.heldOut}</span>` : nothing}</span>`;
}
