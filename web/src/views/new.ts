/** A new job: what was dropped, how far its upload is, and what is to be made of it. */
import { html, nothing } from "lit-html";
import type { App, AppState } from "../app.ts";
import { confirmed } from "../parts/confirm.ts";
import { flightMap } from "../parts/flight_map.ts";
import { hasProblems, optionsForm } from "../parts/options_form.ts";
import { presetCards } from "../parts/preset_cards.ts";
import { progressLine } from "../parts/progress_line.ts";
import { tray } from "../parts/tray.ts";
import type { UploadState } from "../upload/uploader.ts";
import { percent, UPLOAD } from "../words/en.ts";
import { homeView } from "./home.ts";

export function newView(app: App, state: AppState) {
  const { upload } = state;
  if (!upload) return homeView(app, state);
  return html`${band(app, upload)}
    <section class="column two">
      <div class="stack">${tray(upload.choice)}${flightMap(upload.choice.photos, upload.exif, upload.choice.isZip)}</div>
      ${choices(app, upload)}
    </section>`;
}

function band(app: App, upload: UploadState) {
  const share = upload.bytes ? (100 * upload.sent) / upload.bytes : 0;
  const isMoving = upload.phase === "sending" || upload.phase === "beginning";
  return html`<section class="sky"><div class="column">
    <h1 class="small">${upload.name}</h1>
    <p class="sentence">${upload.phase === "stopped" ? UPLOAD.failed : UPLOAD[upload.phase]}</p>
    ${progressLine({ value: share, label: "Upload", text: percent(share), seconds: 0.3 })}
    <p class="second" role="status">${upload.trouble ?? (upload.isOffline ? UPLOAD.offline : isMoving ? UPLOAD.stay : upload.isCommitted ? UPLOAD.committed : "")}</p>
    <p class="muted">${UPLOAD.progress(upload.sent, upload.bytes)}</p>
    <div class="actions">
      ${upload.phase === "stopped" ? html`<button class="onsky" @click=${() => void app.uploader.again()}>${UPLOAD.again}</button>` : nothing}
      <button class="onsky" ?disabled=${upload.phase === "completing"} @click=${() => void cancel(app)}>${UPLOAD.cancel}</button>
    </div>
  </div></section>`;
}

async function cancel(app: App): Promise<void> {
  const isSure = await confirmed({ title: UPLOAD.cancelTitle, text: UPLOAD.cancelText, keep: UPLOAD.keep, confirm: UPLOAD.cancel });
  if (!isSure) return;
  await app.uploader.cancel();
  app.go({ page: "home" });
}

function choices(app: App, upload: UploadState) {
  const { answer, preset, changes } = upload;
  const isWrong = answer !== null && hasProblems(answer, changes);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!isWrong) void app.uploader.commit();
  };
  return html`<form class="stack" @submit=${submit}>
    ${answer ? presetCards(answer, preset, upload.estimates, (chosen) => app.uploader.change({ preset: chosen })) : nothing}
    <label>${UPLOAD.email} <span class="muted">${UPLOAD.optional}</span><input type="email" autocomplete="email" maxlength="254" .value=${upload.email}
      @input=${(event: Event) => app.uploader.change({ email: (event.target as HTMLInputElement).value })}></label>
    ${answer ? optionsForm({
      answer, preset, changes,
      change: (key, value) => app.uploader.change({ changes: new Map(changes).set(key, value) }),
      reset: (key) => app.uploader.change({ changes: new Map([...changes].filter(([each]) => each !== key)) }),
    }) : nothing}
    <div class="bottom"><button ?disabled=${upload.isCommitted || isWrong}>${UPLOAD.begin}</button>
      ${upload.isCommitted && upload.phase !== "completing" ? html`<p class="muted">${UPLOAD.committed}</p>` : nothing}</div>
  </form>`;
}
