/** *Files*: what can be downloaded, with sizes. */
import { html } from "lit-html";
import type { FileLink } from "../api/types.ts";
import { bytes } from "../words/en.ts";

export function picturesOf(links: readonly FileLink[]): FileLink[] {
  return links.filter(({ file }) => /\.(jpe?g|webp|png)$/.test(file));
}

export function filesTab(links: readonly FileLink[]) {
  return html`<div class="column"><ul class="files">
    ${links.map((link) => html`<li><a href=${link.url} download>${link.label}</a>
      <span class="muted">${link.file.split("/").at(-1)}, ${bytes(link.bytes)}</span></li>`)}
  </ul></div>`;
}
