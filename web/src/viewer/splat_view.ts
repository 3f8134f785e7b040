/** `<splat-view>`: the model of a job, with our own controls; the engine is loaded when it is on the page. */

import { html, nothing, render } from "lit-html";
import type { Client } from "../api/client.ts";
import { VIEWER, whole } from "../words/en.ts";
import { controls } from "./controls.ts";
import type { Direction, ViewerHandle } from "./open.ts";

export interface Source {
  client: Client;
  /** Of the API, where the model's addresses are asked for: `/jobs/ID/model` with a key, `/shared/model` with a link. */
  path: string;
  name: string;
  /** A picture to show until the API has named its own. */
  poster?: string | null;
}
interface ModelAnswer {
  files: Record<string, string>;
  viewer: { up?: Direction } | null;
  poster: string | null;
}
type Phase = { kind: "loading" } | { kind: "ready" } | { kind: "failed"; sentence: string };

/** Ours is z up; the second is what *Turn over* shows. */
const UPS: readonly Direction[] = [[0, 0, 1], [0, 0, -1]];

export class SplatView extends HTMLElement {
  #source: Source | null = null;
  #phase: Phase = { kind: "loading" };
  #viewer: ViewerHandle | null = null;
  #poster: string | null = null;
  #turns = 0;
  /** Counts what was begun, so that what comes too late is thrown away. */
  #opening = 0;
  readonly #stage = document.createElement("div");
  readonly #bar = document.createElement("div");

  get source(): Source | null {
    return this.#source;
  }

  set source(source: Source | null) {
    const isSame = source?.path === this.#source?.path && source?.client === this.#source?.client;
    this.#source = source;
    if (!isSame && this.isConnected) void this.#open();
  }

  connectedCallback(): void {
    this.#stage.className = "stage";
    this.#bar.className = "overlay";
    this.replaceChildren(this.#stage, this.#bar);
    document.addEventListener("focusin", this.#onFocus);
    document.addEventListener("fullscreenchange", this.#draw);
    void this.#open();
  }

  disconnectedCallback(): void {
    document.removeEventListener("focusin", this.#onFocus);
    document.removeEventListener("fullscreenchange", this.#draw);
    this.#close();
  }

  /** The keyboard is the viewer's only while the viewer has the focus. */
  readonly #onFocus = () => {
    if (this.#viewer) this.#viewer.state.inputEnabled = this.#stage.contains(document.activeElement);
  };

  readonly #draw = () => {
    const phase = this.#phase;
    render(
      html`${phase.kind === "ready" ? nothing : html`
          ${this.#poster ? html`<img class="poster" src=${this.#poster} alt="">` : nothing}
          <div class="waiting" role="status"><p>${phase.kind === "loading" ? this.#progress() : phase.sentence}</p>
            ${phase.kind === "failed" ? html`<button @click=${() => void this.#open()}>${VIEWER.again}</button>` : nothing}</div>`}
        ${phase.kind === "ready" && this.#viewer ? controls(this.#viewer, {
          name: this.#source?.name ?? "",
          isFull: document.fullscreenElement === this,
          full: () => void (document.fullscreenElement ? document.exitFullscreen() : this.requestFullscreen()).catch(() => undefined),
          turnOver: () => {
            this.#turns += 1;
            void this.#open();
          },
          redraw: this.#draw,
        }) : nothing}`,
      this.#bar,
    );
  };

  #progress(): string {
    const progress = this.#viewer?.state.progress ?? 0;
    return progress ? `${VIEWER.loading}: ${whole(progress)} %` : VIEWER.loading;
  }

  async #open(): Promise<void> {
    this.#close();
    const opening = this.#opening;
    const { client, path, name } = this.#source ?? {};
    if (!client || !path) return;
    this.#poster ??= this.#source?.poster ?? null;
    this.#set({ kind: "loading" });
    let contents: Response;
    let up: Direction;
    try {
      const answer = await client.get<ModelAnswer>(`${path}?of=sog`);
      this.#poster = answer.poster;
      this.#draw();
      up = answer.viewer?.up ?? (UPS[0] as Direction);
      contents = await fetch(answer.files["model.sog"] ?? "", { referrerPolicy: "no-referrer" });
      if (!contents.ok) throw new Error(`${contents.status}`);
    } catch {
      if (opening === this.#opening) this.#set({ kind: "failed", sentence: VIEWER.failed });
      return;
    }
    if (this.#turns % 2) up = [-up[0], -up[1], -up[2]];
    let viewer: ViewerHandle;
    try {
      const { openModel } = await import("./open.ts");
      if (opening !== this.#opening) return;
      viewer = await openModel(this.#stage, contents, up, null);
    } catch {
      if (opening === this.#opening) this.#set({ kind: "failed", sentence: VIEWER.noWebgl });
      return;
    }
    if (opening !== this.#opening) return viewer.destroy();
    this.#viewer = viewer;
    this.#listen(viewer, name ?? "");
  }

  #listen(viewer: ViewerHandle, name: string): void {
    const canvas = this.#stage.querySelector("canvas");
    canvas?.setAttribute("tabindex", "0");
    canvas?.setAttribute("role", "application");
    canvas?.setAttribute("aria-label", VIEWER.name(name));
    canvas?.addEventListener("pointerdown", () => canvas.focus({ preventScroll: true }));
    canvas?.addEventListener("keydown", (event) => event.key === "Escape" && canvas.blur());
    canvas?.addEventListener("blur", this.#onFocus);
    canvas?.addEventListener("webglcontextlost", () => this.#set({ kind: "failed", sentence: VIEWER.lost }));
    viewer.state.inputEnabled = false;
    viewer.events.on("progress:changed", this.#draw);
    viewer.events.on("loaded:changed", () => this.#ready(viewer));
    for (const key of ["cameraMode", "performanceMode"]) viewer.events.on(`${key}:changed`, this.#draw);
    if (viewer.state.loaded) this.#ready(viewer);
  }

  #ready(viewer: ViewerHandle): void {
    viewer.state.cameraMode = "orbit"; // where there is no flight of the model's own, the engine makes up one
    this.#set({ kind: "ready" });
  }

  #set(phase: Phase): void {
    this.#phase = phase;
    this.#draw();
  }

  #close(): void {
    this.#opening += 1;
    this.#viewer?.destroy();
    this.#viewer = null;
    this.#stage.replaceChildren();
  }
}

customElements.define("splat-view", SplatView);
