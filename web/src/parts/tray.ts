/** What was dropped: how much is of use, what is not and why. */
import { html, nothing } from "lit-html";
import type { Choice } from "../upload/choose.ts";
import { bytes, TRAY } from "../words/en.ts";

const SHOWN = 100;

export function tray(choice: Choice) {
  const { ignored } = choice;
  return html`<div class="tray">
    <p><strong>${TRAY.contents(choice)}</strong>, ${bytes(choice.bytes)}</p>
    ${ignored.length ? html`<details><summary>${TRAY.ignored(ignored.length)}</summary><ul>
      ${ignored.slice(0, SHOWN).map((each) => html`<li>${each.path}: ${each.reason}</li>`)}
      ${ignored.length > SHOWN ? html`<li>${TRAY.more(ignored.length - SHOWN)}</li>` : nothing}</ul></details>` : nothing}
  </div>`;
}
