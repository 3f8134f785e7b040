/** How like the full model the compressed one looks, by where one looks from: the views of its proof. */
import { html, nothing } from "lit-html";
import { decibels, REPORT, whole } from "../../words/en.ts";
import type { CompressPart } from "./types.ts";

interface ViewRow {
  /** Where from, in words. */
  name: string;
  /** How many views. */
  views: number;
  /** dB. */
  mean: number;
  worst: number;
}

/** A row for each kind of view, and all of them last; none of an older version's report. */
export function viewRows({ kinds, views, sog_psnr: mean, sog_psnr_worst: worst }: CompressPart = {}): ViewRow[] {
  if (!kinds || !views || mean === undefined || worst === undefined) return [];
  const rows = Object.entries(kinds).map(([kind, psnr]) => ({
    name: Object.hasOwn(REPORT.kinds, kind) ? (REPORT.kinds[kind] as string) : kind,
    views: views.filter((view) => view.kind === kind).length,
    mean: psnr.mean,
    worst: psnr.worst,
  }));
  return rows.length ? [...rows, { name: REPORT.sum, views: views.length, mean, worst }] : [];
}

export function viewTable(rows: readonly ViewRow[]) {
  if (!rows.length) return nothing;
  const last = rows.length - 1;
  return html`<table class="plain"><thead><tr><th scope="col">${REPORT.seenFrom}</th><th scope="col" class="n">${REPORT.views}</th>
      <th scope="col" class="n">${REPORT.mean}</th><th scope="col" class="n">${REPORT.worst}</th></tr></thead>
    <tbody>${rows.map(({ name, views, mean, worst }, at) => html`<tr class=${at === last ? "sum" : nothing}><td>${name}</td><td class="n">${whole(views)}</td>
      <td class="n">${decibels(mean)}</td><td class="n">${decibels(worst)}</td></tr>`)}</tbody></table>
    <p class="muted">${REPORT.viewsHint}</p>`;
}
