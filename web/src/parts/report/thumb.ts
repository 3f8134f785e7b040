/** A photo's small picture, cut from its sheet. The name stands beside it, so that it needs none of its own. */
import { html } from "lit-html";
import { vars } from "../vars.ts";
import { tileOf } from "./rows.ts";

export function thumb(number: number | null, files: Record<string, string>) {
  const tile = number === null ? null : tileOf(number);
  const url = tile && files[tile.file];
  if (!tile || !url) return html`<span class="thumb"></span>`;
  return html`<span class="thumb"><img src=${url} alt="" referrerpolicy="no-referrer"
    ${vars({ "--column": String(tile.column), "--row": String(tile.row) })}></span>`;
}
