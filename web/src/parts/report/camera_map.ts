/** Where the photos were taken, a mark for each: our own drawing, no map from elsewhere. The photo table says the same. */
import { html, nothing, svg } from "lit-html";
import { REPORT } from "../../words/en.ts";
import { vars } from "../vars.ts";
import { nearest, project, roundLength, type Dot, type Plan, type Projection } from "./places.ts";
import { countsOf, type Fate, type PhotoRow } from "./rows.ts";

const [WIDTH, MARGIN] = [800, 24];
/** Pixels of the screen within which a mark is meant: half of a finger's width. */
const REACH = 22;
const FATES: readonly Fate[] = ["placed", "left", "apart"];

/** `card` tells of the chosen photo; it stands beside the plan where there is room. */
export function cameraMap(plan: Plan | null, chosen: PhotoRow | null, choose: (row: PhotoRow) => void, card: unknown) {
  if (!plan) return nothing;
  const projection = project(plan.dots, WIDTH, MARGIN);
  const counts = countsOf(plan.dots.map(({ row }) => row));
  const there = FATES.filter((fate) => counts[fate]);
  return html`<section><h2>${REPORT.map}</h2>
    <div class="where"><figure class="map" ${vars({ "--ratio": String(WIDTH / projection.height) })}>
      <svg viewBox="0 0 ${WIDTH} ${projection.height}" role="img" aria-label=${REPORT.mapLabel(counts)}
        @click=${(event: MouseEvent) => pick(event, plan, projection, choose)}>
        ${FATES.slice().reverse().map((fate) => plan.dots.filter(({ row }) => row.fate === fate).map((dot) => mark(dot, projection)))}
        ${plan.dots.filter(({ row }) => row === chosen).map((dot) => ring(dot, projection))}
      </svg>
      <figcaption>
        <ul class="legend">${there.map((fate) => html`<li><svg viewBox="-8 -8 16 16" aria-hidden="true">${shape(fate)}</svg>
          ${REPORT.fates[fate]} (${counts[fate]})</li>`)}</ul>
        ${plan.isMetric ? scaleBar(projection) : html`<p>${REPORT.noScale}</p>`}
        ${plan.nowhere ? html`<p>${REPORT.nowhere(plan.nowhere)}</p>` : nothing}
        <p class="screen">${REPORT.mapHint}</p>
      </figcaption>
    </figure><div aria-live="polite">${card}</div></div></section>`;
}

/** A disc, a cross, a square: told apart without colours. */
function shape(fate: Fate) {
  if (fate === "placed") return svg`<circle class="placed" r="5" />`;
  if (fate === "apart") return svg`<rect class="apart" x="-4.5" y="-4.5" width="9" height="9" />`;
  return svg`<path class="left" d="M-5 -5L5 5M-5 5L5 -5" />`;
}

function mark(dot: Dot, projection: Projection) {
  const { x, y } = projection.at(dot);
  return svg`<g transform="translate(${x.toFixed(1)} ${y.toFixed(1)})"><title>${dot.row.name}: ${dot.row.words}</title>${shape(dot.row.fate)}</g>`;
}

function ring(dot: Dot, projection: Projection) {
  const { x, y } = projection.at(dot);
  return svg`<circle class="chosen" cx=${x} cy=${y} r="12" />`;
}

function pick(event: MouseEvent, plan: Plan, projection: Projection, choose: (row: PhotoRow) => void): void {
  const drawing = (event.currentTarget as SVGSVGElement).getScreenCTM();
  if (!drawing) return;
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.inverse());
  const dot = nearest(plan.dots, projection, x, y, REACH / drawing.a);
  if (dot) choose(dot.row);
}

/** As long on the screen as its metres are on the drawing. */
function scaleBar({ scale, width }: Projection) {
  const metres = roundLength(width / scale / 5);
  return html`<p class="scale"><span class="bar" ${vars({ "--share": String((metres * scale) / width) })}></span>${REPORT.scale(metres)}</p>`;
}
