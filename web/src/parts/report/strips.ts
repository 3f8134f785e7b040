/** Photo, model and difference side by side, as the stages have drawn them. */
import { html, nothing } from "lit-html";
import { decibels, REPORT } from "../../words/en.ts";
import type { ReportSource } from "./types.ts";
import { viewRows, viewTable } from "./views.ts";

export function strips({ parts, files }: ReportSource) {
  const views = new Map((parts.train?.views ?? []).map((view) => [view.name, view]));
  const shown = (parts.train?.preview ?? []).flatMap((name) => views.get(name) ?? []);
  const [trained, compressed] = [files["gaussian/preview.jpg"], files["compressed/preview.jpg"]];
  const rows = viewRows(parts.compress);
  if (!trained && !compressed && !rows.length) return nothing;
  return html`<section><h2>${REPORT.strips}</h2>
    ${trained ? strip(trained, REPORT.stripLabel, REPORT.stripCaption) : nothing}
    ${shown.length ? html`<table class="plain"><thead><tr><th scope="col">${REPORT.photo}</th><th scope="col">${REPORT.use}</th><th scope="col" class="n">${REPORT.likeness}</th></tr></thead>
      <tbody>${shown.map((view) => html`<tr><td><bdi>${view.name}</bdi></td><td>${view.held_out ? REPORT.heldOut : REPORT.trainedOn}</td><td class="n">${decibels(view.psnr)}</td></tr>`)}</tbody></table>` : nothing}
    ${compressed ? strip(compressed, REPORT.compressedLabel, REPORT.compressedCaption(parts.compress?.sog_psnr ?? null)) : nothing}
    ${viewTable(rows)}
  </section>`;
}

function strip(url: string, label: string, caption: string) {
  return html`<figure class="strip"><div class="wide" tabindex="0" role="region" aria-label=${label}><img src=${url} alt=${label} loading="lazy" referrerpolicy="no-referrer"></div>
    <figcaption>${caption}</figcaption></figure>`;
}
