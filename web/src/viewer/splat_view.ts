/** `<splat-view>`: the model of a job, with our own controls; the engine is loaded when it is on the page. */

import { html, nothing, render } from "lit-html";
import type { Client } from "../api/client.ts";
import { VIEWER, whole } from "../words/en.ts";
import { downloads, fetchEngine, isPhone, sogOf } from "./ahead.ts";
import { controls } from "./controls.ts";
import { Measuring } from "./measuring.ts";
import type { ModelFile, OpenModel } from "./open.ts";
import { isPose, readViewer, type Pose, type ViewerFile } from "./settings.ts";
import { SignedFiles, type ModelAnswer } from "./signing.ts";
import { upright, type Point } from "./vectors.ts";

export interface Source {
  client: Client;
  /** Of the API, where the model's addresses are asked for: `/jobs/ID/model` with a key, `/shared/model` with a link. */
  path: string;
  name: string;
  /** A picture to show until the API has named its own. */
  poster?: string | null;
}
type Phase =
  | { kind: "loading" }
  | { kind: "ready" }
  | { kind: "failed"; sentence: string }
  /** There is no 3D here, for good: pictures instead. */
  | { kind: "flat"; sentence: string; anyway: number | null };

const PHONE_BUDGET = 1;
const MOST_LOSSES = 2;
/** Percent; a slow device has better things to do than to draw the page again for each. */
const STEP = 10;

export class SplatView extends HTMLElement {
  #source: Source | null = null;
  #phase: Phase = { kind: "loading" };
  #model: OpenModel | null = null;
  #files: SignedFiles | null = null;
  #measuring: Measuring | null = null;
  #look: ViewerFile = readViewer(null);
  #poster: string | null = null;
  #flight: string | null = null;
  #isOver = false;
  #isWanted = false;
  #losses = 0;
  #pose: Pose | null = null;
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

  /** What the tape has measured: points in the model's coordinates, and figures in metres. */
  get measured() {
    return this.#measuring?.isOn ? { points: this.#measuring.points, ...this.#measuring.result } : null;
  }

  /** Where a point of the model is seen, in pixels of this element; null where it is not. */
  project(point: Point): [number, number] | null {
    return this.#phase.kind === "ready" ? (this.#model?.project(point) ?? null) : null;
  }

  /** Go to a pose, in the model's coordinates; as soon as there is a model. */
  standAt(pose: unknown): void {
    if (!isPose(pose)) return;
    this.#pose = pose;
    if (this.#phase.kind === "ready") this.#stand();
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
    if (this.#model) this.#model.viewer.state.inputEnabled = this.#stage.contains(document.activeElement);
  };

  readonly #draw = () => {
    render(this.#phase.kind === "ready" && this.#model ? this.#tools(this.#model) : this.#cover(), this.#bar);
  };

  #tools({ viewer }: OpenModel) {
    return html`${this.#measuring?.view() ?? nothing}
      ${controls(viewer, {
        name: this.#source?.name ?? "",
        isFull: document.fullscreenElement === this,
        hasFlight: this.#look.flight != null && !this.#isOver,
        isMeasuring: this.#measuring?.isOn ?? false,
        full: () => void (document.fullscreenElement ? document.exitFullscreen() : this.requestFullscreen()).catch(() => undefined),
        turnOver: () => {
          this.#isOver = !this.#isOver;
          void this.#open();
        },
        measure: () => this.#measuring?.toggle(),
      })}`;
  }

  #cover() {
    const phase = this.#phase;
    const sentence = phase.kind === "failed" || phase.kind === "flat" ? phase.sentence : this.#progress();
    const action = phase.kind === "failed" ? { label: VIEWER.again, act: () => void this.#open() }
      : phase.kind === "flat" && phase.anyway != null ? { label: VIEWER.anyway(phase.anyway), act: () => this.#showAnyway() } : null;
    const isVideo = phase.kind === "flat" && this.#flight != null;
    return html`${isVideo
        ? html`<video class="poster" src=${this.#flight} poster=${this.#poster ?? nothing} aria-label=${VIEWER.flight} controls muted playsinline loop></video>`
        : this.#poster ? html`<img class="poster" src=${this.#poster} alt="">` : nothing}
      <div class=${phase.kind === "flat" ? "waiting flat" : "waiting"} role="status"><p>${sentence}</p>
        ${action ? html`<button @click=${action.act}>${action.label}</button>` : nothing}</div>`;
  }

  #progress(): string {
    const progress = STEP * Math.floor((this.#model?.viewer.state.progress ?? 0) / STEP);
    return progress ? `${VIEWER.loading}: ${whole(progress)} %` : VIEWER.loading;
  }

  #showAnyway(): void {
    this.#isWanted = true;
    void this.#open();
  }

  async #open(): Promise<void> {
    this.#close();
    const opening = this.#opening;
    const isStale = () => opening !== this.#opening;
    this.#poster ??= this.#source?.poster ?? null;
    this.#stage.classList.add("coarse"); // the first picture in a quarter of the pixels: it is there sooner
    this.#set({ kind: "loading" });
    fetchEngine();
    const model = await this.#load(isStale);
    if (!model || isStale()) return;
    const up: Point = this.#isOver ? [-this.#look.up[0], -this.#look.up[1], -this.#look.up[2]] : this.#look.up;
    let opened: OpenModel;
    try {
      const { openModel } = await import("./open.ts");
      if (isStale()) return;
      opened = await openModel({
        container: this.#stage,
        model,
        rotation: upright(up),
        look: this.#isOver ? null : this.#look,
        isMoving: !this.#pose && !matchMedia("(prefers-reduced-motion: reduce)").matches,
        budget: isPhone() ? PHONE_BUDGET : null,
      });
    } catch {
      if (!isStale()) this.#set({ kind: "flat", sentence: VIEWER.noWebgl, anyway: null });
      return;
    }
    if (isStale()) return opened.viewer.destroy();
    this.#model = opened;
    this.#measuring = new Measuring(opened, this.#look.metric, this.#stage, this.#draw);
    this.#listen(opened, this.#source?.name ?? "");
  }

  /** The bytes of the model, which may still be under way, or the addresses of its levels; null where there is nothing to open. */
  async #load(isStale: () => boolean): Promise<ModelFile | SignedFiles | null> {
    const { client, path } = this.#source ?? {};
    if (!client || !path) return null;
    try {
      const answer = await client.get<ModelAnswer>(path);
      if (isStale()) return null;
      this.#look = readViewer(answer.viewer);
      this.#poster ??= answer.poster; // the same picture has other addresses
      this.#flight = answer.flight;
      this.#draw();
      if (answer.format === "lod") {
        this.#files = new SignedFiles(answer, () => client.get<ModelAnswer>(path));
        return this.#files;
      }
      const { address, size, isLarge } = sogOf(answer);
      if (isLarge && !this.#isWanted) {
        this.#set({ kind: "flat", sentence: VIEWER.large, anyway: size });
        return null;
      }
      if (!address) throw new Error("no model");
      return { address, bytes: this.#orFail(downloads.take(address), isStale) };
    } catch {
      if (!isStale()) this.#fail();
      return null;
    }
  }

  /** What has come; where it does not, the viewer fails, and this stays open. */
  #orFail<T>(coming: Promise<T>, isStale: () => boolean): Promise<T> {
    return coming.catch(() => {
      if (!isStale()) this.#fail();
      return new Promise<never>(() => undefined);
    });
  }

  #fail(): void {
    this.#close();
    this.#set({ kind: "failed", sentence: VIEWER.failed });
  }

  #listen(opened: OpenModel, name: string): void {
    const { viewer } = opened;
    const canvas = this.#stage.querySelector("canvas");
    canvas?.setAttribute("tabindex", "0");
    canvas?.setAttribute("role", "application");
    canvas?.setAttribute("aria-label", VIEWER.name(name));
    canvas?.addEventListener("pointerdown", () => canvas.focus({ preventScroll: true }));
    canvas?.addEventListener("keydown", (event) => event.key === "Escape" && canvas.blur());
    canvas?.addEventListener("blur", this.#onFocus);
    canvas?.addEventListener("webglcontextlost", () => opened === this.#model && this.#lose()); // not by being closed
    viewer.state.inputEnabled = false;
    viewer.events.on("progress:changed", this.#draw);
    viewer.events.on("loaded:changed", () => this.#ready());
    for (const key of ["performanceMode", "animationPaused"]) viewer.events.on(`${key}:changed`, this.#draw);
    viewer.events.on("cameraMode:changed", (mode: string, before: string) => {
      if (before === "anim" && mode !== "anim" && mode !== "orbit") viewer.state.cameraMode = "orbit"; // a touch: it would fly on by hand
      this.#draw();
    });
    viewer.events.on("animationPaused:changed", (isPaused: boolean) => {
      if (isPaused && viewer.state.cameraMode === "anim") viewer.state.cameraMode = "orbit"; // the flight is over
    });
    if (viewer.state.loaded) this.#ready();
  }

  /** Once more, since a browser takes the context away for its own reasons; but not for ever. */
  #lose(): void {
    this.#losses += 1;
    if (this.#losses < MOST_LOSSES) return void this.#open();
    this.#close();
    this.#set({ kind: "flat", sentence: VIEWER.lost, anyway: null });
  }

  #ready(): void {
    const state = this.#model?.viewer.state;
    if (!state) return;
    const isFlying = this.#look.flight && !this.#isOver && !state.animationPaused;
    if (!isFlying) state.cameraMode = "orbit"; // where there is no flight of the model's own, the engine makes up one
    this.#stage.classList.remove("coarse");
    this.#set({ kind: "ready" });
    this.#stand();
  }

  #stand(): void {
    if (this.#pose && !this.#isOver) this.#model?.standAt(this.#pose);
    this.#pose = null;
  }

  #set(phase: Phase): void {
    this.#phase = phase;
    this.#draw();
  }

  #close(): void {
    this.#opening += 1;
    this.#measuring?.close();
    this.#measuring = null;
    this.#files?.close();
    this.#files = null;
    const model = this.#model;
    this.#model = null;
    model?.viewer.destroy();
    this.#stage.replaceChildren();
  }
}

customElements.define("splat-view", SplatView);
