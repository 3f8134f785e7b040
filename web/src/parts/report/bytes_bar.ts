/** Where the bytes of the compressed model go: one bar, and its table with the same patterns. */
import { html, nothing } from "lit-html";
import { bytes, REPORT, share } from "../../words/en.ts";
import { vars } from "../vars.ts";

export function bytesBar(attributeBytes: Record<string, number> | undefined, perMillion: number | undefined) {
  const parts = Object.entries(attributeBytes ?? {}).filter(([, size]) => size > 0);
  const all = parts.reduce((sum, [, size]) => sum + size, 0);
  if (!all) return nothing;
  const name = (attribute: string) => REPORT.attributes[attribute] ?? attribute;
  return html`<section><h2>${REPORT.bytes}</h2>
    <div class="bytes" role="img" aria-label=${REPORT.bytesLabel(bytes(all))}>
      ${parts.map(([, size], at) => html`<span class="part pattern-${at % 7}" ${vars({ "--share": String(size / all) })}></span>`)}
    </div>
    <table class="plain"><thead><tr><th scope="col">${REPORT.attribute}</th><th scope="col" class="n">${REPORT.size}</th><th scope="col" class="n">${REPORT.share}</th></tr></thead>
      <tbody>${parts.map(([attribute, size], at) => html`<tr><td><span class="swatch pattern-${at % 7}" aria-hidden="true"></span> ${name(attribute)}</td>
        <td class="n">${bytes(size)}</td><td class="n">${share(size / all)}</td></tr>`)}
        <tr class="sum"><td>${REPORT.sum}</td><td class="n">${bytes(all)}</td><td class="n"></td></tr>
        ${perMillion ? html`<tr><td>${REPORT.perMillion}</td><td class="n">${bytes(perMillion * 1e6)}</td><td class="n"></td></tr>` : nothing}</tbody></table></section>`;
}
