/** `<job-shares>`: makes links to a job for people without a key, and withdraws them. */
import { html, nothing, render } from "lit-html";
import type { Client } from "../api/client.ts";
import type { Scope } from "../api/shared.ts";
import { SHARE } from "../words/en.ts";
import { confirmed } from "./confirm.ts";
import { frameCode, isLoopback, shareLink } from "./share_links.ts";

export interface SharesSource {
  client: Client;
  jobId: string;
  name: string;
}
interface Share {
  id: string;
  may: Scope;
  positions: boolean;
  label: string;
  expires_at: string;
}

const SCOPES: readonly Scope[] = ["look", "report", "download"];
const DAYS = { first: 30, most: 365 };

class JobShares extends HTMLElement {
  #source: SharesSource | null = null;
  #shares: Share[] | null = null;
  #may: Scope = "look";
  /** The link that was made last; its token is here and nowhere else, and gone with the page. */
  #made: { token: string; share: Share } | null = null;
  #copied: "link" | "frame" | null = null;
  #isActing = false;
  #trouble: string | null = null;

  set source(source: SharesSource) {
    const isSame = source.jobId === this.#source?.jobId && source.client === this.#source.client;
    this.#source = source;
    if (!isSame && this.isConnected) void this.#load();
  }

  connectedCallback(): void {
    const early = Object.getOwnPropertyDescriptor(this, "source")?.value as SharesSource | undefined; // set before this code was here
    if (early) {
      Reflect.deleteProperty(this, "source");
      this.source = early;
    } else void this.#load();
  }

  async #load(): Promise<void> {
    this.#made = null;
    this.#shares = null;
    await this.#act(async ({ client, jobId }) => {
      this.#shares = (await client.get<{ shares: Share[] }>(`/jobs/${jobId}/shares`)).shares;
    });
  }

  /** One call at a time; what the server refuses is shown in its words. */
  async #act(action: (source: SharesSource) => Promise<void>): Promise<void> {
    if (!this.#source || this.#isActing) return;
    this.#isActing = true;
    this.#trouble = null;
    this.#draw();
    try {
      await action(this.#source);
    } catch (error) {
      this.#trouble = error instanceof Error && error.message ? error.message : SHARE.failed;
    }
    this.#isActing = false;
    this.#draw();
  }

  readonly #make = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const body = {
      may: this.#may,
      days: Number(form.get("days")),
      label: String(form.get("label") ?? "").trim(),
      positions: this.#may !== "look" && form.get("positions") === "on",
    };
    void this.#act(async ({ client, jobId }) => {
      this.#made = await client.post<{ token: string; share: Share }>(`/jobs/${jobId}/shares`, body);
      this.#copied = null;
      this.#shares = [this.#made.share, ...(this.#shares ?? [])];
    }).then(() => this.querySelector<HTMLElement>("#share-link")?.focus());
  };

  async #withdraw(share: Share): Promise<void> {
    const title = SHARE.withdrawTitle(share.label);
    if (!(await confirmed({ title, text: SHARE.withdrawText, keep: SHARE.keep, confirm: SHARE.withdraw }))) return;
    await this.#act(async ({ client, jobId }) => {
      await client.delete(`/jobs/${jobId}/shares/${share.id}`);
      this.#shares = (this.#shares ?? []).filter(({ id }) => id !== share.id);
      if (this.#made?.share.id === share.id) this.#made = null;
    });
  }

  async #copy(what: "link" | "frame"): Promise<void> {
    const field = this.querySelector<HTMLInputElement | HTMLTextAreaElement>(`#share-${what}`);
    field?.select();
    await navigator.clipboard?.writeText(field?.value ?? "").then(() => (this.#copied = what), () => undefined); // else it is selected
    this.#draw();
  }

  #draw(): void {
    const isRefused = this.#shares === null && this.#trouble !== null;
    render(
      html`<div class="stack">
        <p>${SHARE.about}</p>
        ${isLoopback(location.hostname) ? html`<p class="warn">${SHARE.laptop}</p>` : nothing}
        ${this.#trouble ? html`<p class="bad" role="alert">${this.#trouble}</p>` : nothing}
        ${isRefused ? nothing : html`<div class="share">${this.#form()}${this.#result()}</div>${this.#list()}`}
      </div>`,
      this,
    );
  }

  #form() {
    const choose = (may: Scope) => {
      this.#may = may;
      this.#draw();
    };
    return html`<form class="card stack" @submit=${this.#make}>
      <h2>${SHARE.make}</h2>
      <fieldset class="presets"><legend>${SHARE.scope}</legend>
        ${SCOPES.map((may) => html`<label class="preset">
          <input type="radio" name="may" value=${may} .checked=${may === this.#may} @change=${() => choose(may)}>
          <span class="name">${SHARE.scopes[may].name}</span><span class="muted">${SHARE.scopes[may].text}</span></label>`)}
      </fieldset>
      <label class="check"><input type="checkbox" name="positions" ?disabled=${this.#may === "look"}>
        <span>${SHARE.positions}</span></label>
      <label>${SHARE.days}<input name="days" type="number" inputmode="numeric" required min="1" max=${DAYS.most} value=${DAYS.first}></label>
      <label>${SHARE.label} <span class="muted">${SHARE.labelNote}</span><input name="label" maxlength="200" autocomplete="off"></label>
      <div class="actions"><button ?disabled=${this.#isActing}>${SHARE.button}</button></div>
    </form>`;
  }

  #result() {
    if (!this.#made || !this.#source) return nothing;
    const { token, share } = this.#made;
    const button = (what: "link" | "frame") =>
      html`<button type="button" class="quiet" @click=${() => void this.#copy(what)}>${this.#copied === what ? SHARE.copied : SHARE.copy[what]}</button>`;
    return html`<section class="card stack" aria-label=${SHARE.ready}>
      <h2>${SHARE.ready}</h2>
      <p class="muted">${SHARE.once}</p>
      <label>${SHARE.link}<input id="share-link" readonly value=${shareLink(location.href, token)}></label>
      <div>${button("link")}</div>
      ${share.may === "look"
        ? html`<label>${SHARE.frame}<textarea id="share-frame" readonly rows="5" .value=${frameCode(location.href, token, this.#source.name)}></textarea></label>
            <div>${button("frame")}</div>`
        : html`<p class="muted">${SHARE.noFrame}</p>`}
      <p class="hidden" role="status">${this.#copied ? SHARE.copied : ""}</p>
    </section>`;
  }

  #list() {
    if (!this.#shares) return html`<p class="note" aria-busy="true">…</p>`;
    return html`<section><h2>${SHARE.list}</h2>
      ${this.#shares.length ? nothing : html`<p class="muted">${SHARE.none}</p>`}
      <ul class="shares">${this.#shares.map((share) => html`<li>
        <span class="name">${share.label || SHARE.noLabel}</span>
        <span class="muted">${SHARE.scopes[share.may].name}${share.positions ? SHARE.withPositions : ""} · ${SHARE.until(share.expires_at)}</span>
        <button class="quiet small" aria-label=${SHARE.withdrawName(share.label || SHARE.noLabel)} ?disabled=${this.#isActing}
          @click=${() => void this.#withdraw(share)}>${SHARE.withdraw}</button></li>`)}
      </ul></section>`;
  }
}

customElements.define("job-shares", JobShares);
