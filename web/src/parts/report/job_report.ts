/**
 * `<job-report>`: findings, map, photos, strips, bytes and costs of a job, from plain data; it asks nobody for more than
 * pictures. It fires `stand` with a pose when a photo is chosen, and `look` when somebody wants to see the model from there.
 */

import { html, nothing, render } from "lit-html";
import { guard } from "lit-html/directives/guard.js";
import { REPORT } from "../../words/en.ts";
import { bytesBar } from "./bytes_bar.ts";
import { cameraMap } from "./camera_map.ts";
import { costTable } from "./cost_table.ts";
import { findingsList, findingsOf } from "./findings.ts";
import { photoTable, type TableActions, type TableState } from "./photo_table.ts";
import { depthOf, planOf, poseOf, type Plan } from "./places.ts";
import { rowsOf, selected, type PhotoRow } from "./rows.ts";
import { strips } from "./strips.ts";
import { thumb } from "./thumb.ts";
import type { ReportSource } from "./types.ts";

const FIRST_HEIGHT = 600;

export class JobReport extends HTMLElement {
  #source: ReportSource | null = null;
  #rows: PhotoRow[] = [];
  #plan: Plan | null = null;
  #chosen: PhotoRow | null = null;
  #table: TableState = { shown: "all", order: "flown", scrollTop: 0, height: FIRST_HEIGHT, rowHeight: 88, isPrinting: false };

  get source(): ReportSource | null {
    return this.#source;
  }

  set source(source: ReportSource | null) {
    if (source === this.#source) return;
    this.#source = source;
    this.#rows = source ? rowsOf(source) : [];
    this.#plan = source ? planOf(source, this.#rows) : null;
    this.#chosen = null;
    this.#draw();
  }

  connectedCallback(): void {
    addEventListener("beforeprint", this.#beforePrint);
    addEventListener("afterprint", this.#afterPrint);
    addEventListener("resize", this.#measure);
    this.#draw();
  }

  disconnectedCallback(): void {
    removeEventListener("beforeprint", this.#beforePrint);
    removeEventListener("afterprint", this.#afterPrint);
    removeEventListener("resize", this.#measure);
  }

  readonly #beforePrint = () => this.#change({ isPrinting: true });
  readonly #afterPrint = () => this.#change({ isPrinting: false });

  /** Rows are as high as the style sheet says, which is another height on a phone. */
  readonly #measure = () => {
    const rowHeight = this.querySelector<HTMLElement>("tr.photo")?.offsetHeight ?? 0;
    const height = Math.min(this.querySelector<HTMLElement>(".photos")?.clientHeight ?? 0, innerHeight); // on paper it has no end
    if (rowHeight && height && (rowHeight !== this.#table.rowHeight || height !== this.#table.height)) this.#change({ rowHeight, height });
  };

  #change(change: Partial<TableState>): void {
    this.#table = { ...this.#table, ...change };
    this.#draw();
  }

  readonly #actions: TableActions = {
    show: (shown) => this.#fromTop({ shown }),
    sort: (order) => this.#fromTop({ order }),
    scrolled: ({ scrollTop }) => this.#change({ scrollTop }),
    choose: (row) => {
      this.#choose(row);
      this.#fire("look", row);
    },
  };

  #fromTop(change: Partial<TableState>): void {
    const list = this.querySelector(".photos");
    if (list) list.scrollTop = 0;
    this.#change({ ...change, scrollTop: 0 });
  }

  #choose(row: PhotoRow): void {
    this.#chosen = row;
    this.#draw();
    this.#fire("stand", row);
  }

  #fire(name: "stand" | "look", row: PhotoRow): void {
    if (!row.camera || !this.#source) return;
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail: poseOf(row.camera, depthOf(this.#source)) }));
  }

  #draw(): void {
    const source = this.#source;
    if (!this.isConnected || !source) return;
    const rows = selected(this.#rows, this.#table.shown, this.#table.order);
    render(
      html`<article class="report">
        <header class="head"><div class="print"><p class="title">${source.name}</p><p class="muted">${source.date ? REPORT.date(source.date) : nothing}</p></div>
          <button class="quiet screen" @click=${() => print()}>${REPORT.print}</button></header>
        ${guard([source], () => findingsList(findingsOf(source, this.#rows)))}
        ${guard([source, this.#chosen], () => cameraMap(this.#plan, this.#chosen, (row) => this.#choose(row), this.#card()))}
        ${photoTable(this.#rows, rows, source.files, this.#table, this.#actions, source.hasModel)}
        ${guard([source], () => [strips(source), bytesBar(source.parts.compress?.attribute_bytes, source.parts.compress?.mb_per_million), costTable(source.costs)])}
      </article>`,
      this,
    );
    if (!this.#table.isPrinting) queueMicrotask(this.#measure);
  }

  /** The photo that was chosen on the map. */
  #card() {
    const row = this.#chosen;
    if (!row || !this.#source) return nothing;
    return html`<div class="card chosen screen">${thumb(row.thumb, this.#source.files)}
      <div><bdi class="name">${row.name}</bdi><p>${row.words}</p>
        ${row.camera && this.#source.hasModel ? html`<button class="small" @click=${() => this.#fire("look", row)}>${REPORT.stand}</button>` : nothing}</div></div>`;
  }
}

customElements.define("job-report", JobReport);
