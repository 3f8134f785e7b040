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
  return html`<section class="card narrow">
    <h1>${KEY.title}</h1>
    <p class=${state.keyTrouble === "refused" ? "bad" : ""} role=${state.keyTrouble === "refused" ? "alert" : "none"}>
      ${state.keyTrouble === "refused" ? KEY.refused : KEY.missing}</p>
    ${app.hasUsers ? html`<p><button @click=${() => void app.goToSignIn()}>${KEY.signIn}</button></p><p>${KEY.or}</p>` : nothing}
    <form class="stack" @submit=${submit}>
      <label>${KEY.label}<input name="key" type="password" autocomplete="current-password" required maxlength="200"></label>
      <label class="check"><input name="remember" type="checkbox">${KEY.remember}</label>
      <button>${KEY.open}</button>
    </form>
  </section>`;
}
