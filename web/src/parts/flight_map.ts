/** Where the photos were taken, as dots: from the first 128 kB of each JPEG, and without a map from elsewhere. */
import { html, nothing, svg } from "lit-html";
import type { Exif } from "../upload/exif.ts";
import { FLIGHT } from "../words/en.ts";

const [WIDTH, HEIGHT, MARGIN] = [400, 260, 14];
const FEW = 20;

/** Metres east and south of the north-western corner, near enough for one flight. */
export function metres(places: readonly { latitude: number; longitude: number }[]): { x: number; y: number }[] {
  const north = Math.max(...places.map((place) => place.latitude));
  const west = Math.min(...places.map((place) => place.longitude));
  const degree = 111_320;
  return places.map(({ latitude, longitude }) => ({
    x: (longitude - west) * degree * Math.cos((north * Math.PI) / 180),
    y: (north - latitude) * degree,
  }));
}

export function flightMap(photos: number, read: readonly (Exif | null)[], isZip: boolean) {
  const placed = read.filter((exif): exif is Exif & { latitude: number; longitude: number } => exif?.latitude !== undefined);
  const cameras = new Set(read.map((exif) => exif?.camera).filter(Boolean));
  const warnings = [
    ...(!isZip && photos && photos < FEW ? [FLIGHT.few(photos)] : []),
    ...(read.length && read.length === photos && !placed.length ? [FLIGHT.noGps] : []),
    ...(cameras.size > 1 ? [FLIGHT.mixed([...cameras] as string[])] : []),
  ];
  return html`${placed.length > 1 ? drawing(placed) : nothing}
    ${warnings.map((warning) => html`<p class="warn">${warning}</p>`)}`;
}

function drawing(placed: readonly { latitude: number; longitude: number }[]) {
  const points = metres(placed);
  const [width, height] = [Math.max(...points.map(({ x }) => x)), Math.max(...points.map(({ y }) => y))];
  const scale = Math.min((WIDTH - 2 * MARGIN) / Math.max(width, 1), (HEIGHT - 2 * MARGIN) / Math.max(height, 1));
  return html`<svg class="flight" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${FLIGHT.label(placed.length, width, height)}>
    ${points.map(({ x, y }) => svg`<circle r="3" cx=${(WIDTH - width * scale) / 2 + x * scale} cy=${(HEIGHT - height * scale) / 2 + y * scale} />`)}
  </svg><p class="muted">${FLIGHT.label(placed.length, width, height)}</p>`;
}
