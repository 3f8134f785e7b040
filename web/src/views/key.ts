/** The form for the key, in the place of everything that needs one. */
import { html, nothing } from "lit-html";
import type { App, AppState } from "../app.ts";
import { KEY } from "../words/en.ts";

export function keyView(app: App, state: AppState) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const key = String(data.get("key") ?? "").trim();
    if (key) app.signIn(key, data.has("remember"));
  };
  const isRefused = state.keyTrouble === "refused";
  const refused = app.hasUsers ? KEY.ended : KEY.refused;
  return html`<section class="card narrow">
    <h1>${app.hasUsers ? KEY.signIn : KEY.title}</h1>
    ${isRefused ? html`<p class="bad" role="alert">${refused}</p>` : nothing}
    ${app.hasUsers ? html`<p class="stack"><button @click=${() => void app.goToSignIn()}>${KEY.signIn}</button></p><p>${KEY.or}</p>` : nothing}
    ${isRefused || app.hasUsers ? nothing : html`<p>${KEY.missing}</p>`}
    <form class="stack" @submit=${submit}>
      <label>${KEY.label}<input name="key" type="password" autocomplete="current-password" required maxlength="200"></label>
      <label class="check"><input name="remember" type="checkbox">${KEY.remember}</label>
      <button>${KEY.open}</button>
    </form>
  </section>`;
}
