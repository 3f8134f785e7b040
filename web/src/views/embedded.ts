/** A picture until somebody wants to look around, then the model. */
import { html, nothing } from "lit-html";
import { posterOf } from "../api/shared.ts";
import type { ShareState } from "../share_page.ts";
import { fetchEngine } from "../viewer/ahead.ts";
import { HEADLINES, OFFLINE, SHARED } from "../words/en.ts";

/** The viewer comes with the first sign that somebody wants it. */
function fetchViewer(): void {
  import("../viewer/splat_view.ts").catch(() => undefined);
  fetchEngine();
}

export function embeddedView({ client, answer, isInvalid, isOffline, trouble }: ShareState, isOpen: boolean, open: () => void) {
  if (isInvalid) return sentence(SHARED.invalid);
  if (!client || !answer) return sentence(isOffline ? OFFLINE : (trouble ?? SHARED.loading));
  if (!answer.model) return sentence(`${answer.job.name}: ${HEADLINES[answer.job.state]}`);
  const poster = posterOf(answer);
  const { name } = answer.job;
  return html`<main class="embedded"><h1 class="hidden">${name}</h1>
    ${isOpen
      ? html`<splat-view .source=${{ client, path: "/shared/model", name, poster }}></splat-view>`
      : html`<button class="open" @pointerenter=${fetchViewer} @focus=${fetchViewer} @click=${() => (fetchViewer(), open())}>
          ${poster ? html`<img src=${poster} alt=${SHARED.picture(name)}>` : nothing}<span class="pill">${SHARED.open}</span></button>`}
  </main>`;
}

function sentence(text: string) {
  return html`<main class="embedded waiting"><p role="status">${text}</p></main>`;
}
