/** A photo beside the model from the same place, as the running training has it. */
import { html, nothing } from "lit-html";
import type { LivePicture } from "../api/types.ts";
import { LIVE } from "../words/en.ts";

export function livePicture(picture: LivePicture | null, now: number) {
  if (!picture?.url) return nothing;
  return html`<figure class="live">
    <div class="halves" aria-hidden="true"><span>${LIVE.photo(picture)}</span><span>${LIVE.model(picture)}</span></div>
    <img src=${picture.url} alt=${LIVE.alt(picture)} width="960" height="640">
    <figcaption>${LIVE.caption(picture, now)}</figcaption>
  </figure>`;
}
