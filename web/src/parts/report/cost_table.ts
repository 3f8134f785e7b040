/** What each stage took and cost, against what was foreseen. */
import { html, nothing } from "lit-html";
import { STAGES } from "../../api/types.ts";
import { against, dollars, duration, REPORT, STAGE_NAMES } from "../../words/en.ts";
import { vars } from "../vars.ts";
import type { Costs } from "./types.ts";

export function costTable(costs: Costs | undefined) {
  if (!costs) return nothing;
  const rows = STAGES.filter((stage) => costs.seconds[stage] != null || costs.usd[stage] != null);
  if (!rows.length) return nothing;
  const sum = (values: Costs["usd"]) => rows.reduce((total, stage) => total + (values[stage] ?? 0), 0);
  const most = Math.max(...rows.flatMap((stage) => [costs.usd[stage] ?? 0, costs.estimate[stage] ?? 0]));
  const isPaid = sum(costs.usd) > 0;
  const bar = (usd: number, estimate: number) =>
    most > 0 ? html`<span class="cost" aria-hidden="true" ${vars({ "--share": String(usd / most), "--estimate": String(estimate / most) })}></span>` : nothing;
  return html`<section><h2>${REPORT.cost}</h2>
    ${!isPaid ? html`<p>${REPORT.free}</p>` : nothing}
    <table class="plain"><thead><tr><th scope="col">${REPORT.stage}</th><th scope="col" class="n">${REPORT.time}</th><th scope="col" class="n">${REPORT.paid}</th>
      <th scope="col" class="n">${REPORT.estimate}</th>${isPaid ? html`<th scope="col">${REPORT.against}</th>` : nothing}</tr></thead>
      <tbody>${rows.map((stage) => line(STAGE_NAMES[stage], costs.seconds[stage] ?? 0, costs.usd[stage] ?? 0, costs.estimate[stage] ?? 0, isPaid ? bar : null))}</tbody>
      <tfoot>${line(REPORT.sum, sum(costs.seconds), sum(costs.usd), sum(costs.estimate), isPaid ? () => nothing : null)}</tfoot></table>
    ${isPaid ? html`<p class="muted of-bar">${REPORT.costHint}</p>` : nothing}</section>`;
}

function line(name: string, seconds: number, usd: number, estimate: number, bar: ((usd: number, estimate: number) => unknown) | null) {
  return html`<tr><th scope="row">${name}</th><td class="n">${duration(seconds)}</td><td class="n">${dollars(usd)}</td><td class="n">${dollars(estimate)}</td>
    ${bar ? html`<td>${bar(usd, estimate)}${against(usd, estimate)}</td>` : nothing}</tr>`;
}
