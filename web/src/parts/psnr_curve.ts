/** How well the model shows photos that it was not trained on, over the training so far. */
import { html, nothing, svg } from "lit-html";
import type { Score } from "../api/types.ts";
import { CURVE, whole } from "../words/en.ts";

const [WIDTH, HEIGHT] = [640, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [48, 16, 40, 44];
const TICKS = 4;

/** Round numbers around the values, few of them: 18, 20, 22… */
export function ticks(low: number, high: number, most: number = TICKS): number[] {
  const span = Math.max(high - low, 0.5);
  const power = 10 ** Math.floor(Math.log10(span / most));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => span / each <= most) ?? 10 * power;
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  return Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toFixed(6)));
}

export function psnrCurve(series: readonly Score[]) {
  const [first, last] = [series[0], series.at(-1)];
  if (!first || !last || series.length < 2) return nothing;
  const scores = series.map(({ psnr }) => psnr);
  const marks = ticks(Math.min(...scores), Math.max(...scores));
  const [low, high] = [marks[0] ?? 0, marks.at(-1) ?? 1];
  const x = (iteration: number) => LEFT + ((WIDTH - LEFT - RIGHT) * iteration) / last.iteration;
  const y = (psnr: number) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (psnr - low)) / (high - low);
  const path = series.map(({ iteration, psnr }, n) => `${n ? "L" : "M"}${x(iteration).toFixed(1)} ${y(psnr).toFixed(1)}`).join("");
  return html`<figure class="curve">
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${CURVE.label(first, last)}>
      ${marks.map((mark) => svg`<line class="grid" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(mark)} y2=${y(mark)} />
        <text class="tick" text-anchor="end" x=${LEFT - 8} y=${y(mark) + 5}>${mark}</text>`)}
      <path d=${path} />
      <circle r="4" cx=${x(last.iteration)} cy=${y(last.psnr)} />
      <text class="tick" text-anchor="middle" x=${LEFT} y=${HEIGHT - BOTTOM + 20}>0</text>
      <text class="tick" text-anchor="end" x=${WIDTH - RIGHT} y=${HEIGHT - BOTTOM + 20}>${whole(last.iteration)}</text>
      <text class="axis" text-anchor="middle" x=${(LEFT + WIDTH - RIGHT) / 2} y=${HEIGHT - 6}>${CURVE.x}</text>
      <text class="axis" x="12" y="22">${CURVE.y}</text>
    </svg>
    <figcaption>${CURVE.caption(last)}</figcaption>
  </figure>`;
}
