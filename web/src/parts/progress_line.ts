/** The line: it glides to each value over the time until the next one, and never backwards. */
import { html } from "lit-html";
import { percent } from "../words/en.ts";
import { vars } from "./vars.ts";

interface Line {
  /** 0 to 100 */
  value: number;
  label: string;
  /** What a screen reader says instead of the number. */
  text: string;
  /** Seconds until the next value. */
  seconds: number;
  isThin?: boolean;
}

export function progressLine({ value, label, text, seconds, isThin }: Line) {
  const at = Math.min(Math.max(value, 0), 100);
  return html`<div class="line ${isThin ? "thin" : ""}" role="progressbar" aria-label=${label} aria-valuemin="0"
    aria-valuemax="100" aria-valuenow=${Math.floor(at)} aria-valuetext=${text}
    ${vars({ "--at": `${at / 100}`, "--glide": `${seconds}s` })}
    ><span class="fill"></span>${isThin ? "" : html`<span class="pill" aria-hidden="true">${percent(at)}</span>`}</div>`;
}
