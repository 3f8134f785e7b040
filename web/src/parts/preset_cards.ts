/** The presets: what each changes, in the schema's own words, and where the server tells, what it takes: on a machine of one's own no dollars. */
import { html, nothing } from "lit-html";
import { changesOf } from "../api/schema.ts";
import type { OptionsAnswer } from "../api/types.ts";
import { dollars, duration, PRESETS } from "../words/en.ts";

export interface Estimate {
  seconds: number;
  usd: number;
}

export function presetCards(answer: OptionsAnswer, chosen: string, estimates: Readonly<Record<string, Estimate>>, choose: (preset: string) => void) {
  return html`<fieldset class="presets"><legend>${PRESETS.title}</legend>
    ${Object.keys(answer.presets).map((preset) => {
      const estimate = estimates[preset];
      const changes = changesOf(answer, preset);
      return html`<label class="preset"><input type="radio" name="preset" .checked=${preset === chosen} @change=${() => choose(preset)}>
        <span class="name">${preset}</span>
        ${estimate ? html`<span class="figures">about ${duration(estimate.seconds)}${estimate.usd ? `, ${dollars(estimate.usd)}` : nothing}</span>` : nothing}
        <span class="muted">${PRESETS.words[preset] ?? ""} ${changes.join(" · ")}</span>
      </label>`;
    })}</fieldset>`;
}
