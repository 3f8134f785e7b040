/** The tape over the model: points that are picked, lines between them, and what they measure. */

import { html, nothing, svg } from "lit-html";
import { metres, squareMetres, TAPE } from "../words/en.ts";
import type { OpenModel } from "./open.ts";
import type { Metric } from "./settings.ts";
import { MAX_POINTS, measure, middle, type Measure } from "./tape.ts";
import type { Point } from "./vectors.ts";

/** How far a pointer may move, in pixels, and still have clicked. */
const CLICK_PIXELS = 6;

export class Measuring {
  isOn = false;
  points: Point[] = [];
  #isMissed = false;
  #pressed: { x: number; y: number } | null = null;

  /** @param stage what the canvas fills */
  constructor(private readonly model: OpenModel, private readonly metric: Metric, private readonly stage: HTMLElement, private readonly redraw: () => void) {
    stage.addEventListener("pointerdown", this.#press);
    stage.addEventListener("pointerup", this.#release);
    stage.addEventListener("keydown", this.#key);
    model.onFrame(() => this.points.length && this.redraw());
  }

  get result(): Measure {
    return measure(this.points, this.metric);
  }

  close(): void {
    this.stage.removeEventListener("pointerdown", this.#press);
    this.stage.removeEventListener("pointerup", this.#release);
    this.stage.removeEventListener("keydown", this.#key);
  }

  toggle(): void {
    this.isOn = !this.isOn;
    this.#isMissed = false;
    if (!this.isOn) this.points = [];
    this.model.setClicksElsewhere(this.isOn && this.metric.is_metric);
    this.redraw();
  }

  undo = (): void => {
    this.points = this.points.slice(0, -1);
    this.#isMissed = false;
    this.redraw();
  };

  clear = (): void => {
    this.points = [];
    this.#isMissed = false;
    this.redraw();
  };

  /** Pick what is at a place, in pixels of the stage. */
  async add(x: number, y: number): Promise<void> {
    if (!this.isOn || !this.metric.is_metric || this.points.length >= MAX_POINTS) return;
    const point = await this.model.pick(x, y);
    if (!this.isOn || this.points.length >= MAX_POINTS) return;
    this.#isMissed = point == null;
    if (point) this.points = [...this.points, point];
    this.redraw();
  }

  readonly #press = (event: PointerEvent) => {
    this.#pressed = event.isPrimary && event.button === 0 ? { x: event.clientX, y: event.clientY } : null;
  };

  readonly #release = (event: PointerEvent) => {
    const from = this.#pressed;
    this.#pressed = null;
    if (!from || Math.hypot(event.clientX - from.x, event.clientY - from.y) > CLICK_PIXELS) return;
    const { left, top } = this.stage.getBoundingClientRect();
    void this.add(event.clientX - left, event.clientY - top);
  };

  readonly #key = (event: KeyboardEvent) => {
    if (!this.isOn) return;
    if (event.key === "Enter") void this.add(this.stage.clientWidth / 2, this.stage.clientHeight / 2);
    else if (event.key === "Backspace") this.undo();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  view() {
    if (!this.isOn) return nothing;
    if (!this.metric.is_metric) return html`<div class="tape" role="status"><p>${TAPE.whyNot(this.metric.why_not)}</p></div>`;
    return html`${this.#drawing()}<div class="tape">
      <div role="status">${this.#sentences().map((sentence) => html`<p>${sentence}</p>`)}</div>
      ${this.points.length ? html`<div class="actions"><button @click=${this.undo}>${TAPE.undo}</button><button @click=${this.clear}>${TAPE.clear}</button></div>` : nothing}
    </div>`;
  }

  #sentences(): string[] {
    const { lengths, length, area } = this.result;
    const notes = this.#isMissed ? [TAPE.missed] : this.points.length >= MAX_POINTS ? [TAPE.full(MAX_POINTS)] : [];
    if (!length) return [...notes, this.points.length ? TAPE.one : TAPE.none];
    const scale = this.metric.scale_uncertainty == null ? [TAPE.unknownScale] : [];
    const figures = lengths.length > 1 ? [TAPE.total(metres(length)), ...(area ? [TAPE.area(squareMetres(area))] : [])] : [TAPE.length(metres(length))];
    return [...notes, ...figures, ...scale, TAPE.picked];
  }

  #drawing() {
    const places = this.points.map((point) => this.model.project(point));
    const { lengths, area } = this.result;
    const shown = places.filter((place) => place != null);
    const label = (at: [number, number], text: string) => svg`<text x=${at[0]} y=${at[1] - 8}>${text}</text>`;
    const between = lengths.map((length, at) => ({ from: places[at], to: places[at + 1], length }));
    const centre = area ? this.model.project(middle(this.points)) : null;
    return html`<svg class="drawing" aria-hidden="true">
      ${area && shown.length === places.length ? svg`<polygon points=${shown.map((place) => place.join(",")).join(" ")}></polygon>` : nothing}
      ${between.map(({ from, to, length }) => from && to
        ? svg`<line x1=${from[0]} y1=${from[1]} x2=${to[0]} y2=${to[1]}></line>${label([(from[0] + to[0]) / 2, (from[1] + to[1]) / 2], metres(length))}`
        : nothing)}
      ${shown.map((place) => svg`<circle cx=${place[0]} cy=${place[1]} r="5"></circle>`)}
      ${area && centre ? label(centre, squareMetres(area)) : nothing}
    </svg><div class="cross" aria-hidden="true"></div>`;
  }
}
