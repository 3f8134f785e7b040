/** The form for the key: in the place of everything that needs one, or over what is there when it is refused. */
import { html, nothing } from "lit-html";
import { ref } from "lit-html/directives/ref.js";
import type { App, AppState } from "../app.ts";
import { KEY } from "../words/en.ts";

export function keyView(app: App, state: AppState) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const key = String(data.get("key") ?? "").trim();
    if (key) app.access.signIn(key, data.has("remember"));
  };
  const isOver = state.keyTrouble === "refused";
  const title = app.access.hasUsers ? KEY.signIn : KEY.title;
  return html`<section class="card narrow ${isOver ? "over" : ""}" role=${isOver ? "dialog" : "region"} aria-modal=${isOver ? "true" : nothing} aria-label=${title}>
    <h1>${title}</h1>
    ${isOver ? html`<p class="bad" role="alert">${app.access.hasUsers ? KEY.ended : KEY.refused}</p>` : nothing}
    ${state.keyTrouble === "used" ? html`<p class="bad" role="alert">${KEY.used}</p>` : nothing}
    ${app.access.hasUsers ? html`<p class="stack"><button @click=${() => void app.access.goToSignIn()}>${KEY.signIn}</button></p><p>${KEY.or}</p>` : nothing}
    ${isOver || app.access.hasUsers ? nothing : html`<p>${app.access.hasLinks ? KEY.link : KEY.missing}</p>`}
    <form class="stack" @submit=${submit}>
      <label>${KEY.label}<input name="key" type="password" autocomplete="current-password" required maxlength="200" ${ref(isOver ? focused : undefined)}></label>
      <label class="check"><input name="remember" type="checkbox">${KEY.remember}</label>
      <button>${KEY.open}</button>
    </form>
  </section>`;
}

function focused(input?: Element): void {
  if (input) queueMicrotask(() => (input as HTMLElement).focus());
}
