/** The viewer's controls: buttons with names, for all that can be done by dragging, and more. */

import { html, nothing } from "lit-html";
import { CONTROLS } from "../words/en.ts";
import type { ViewerHandle } from "./open.ts";

export interface Surroundings {
  name: string;
  isFull: boolean;
  hasFlight: boolean;
  isMeasuring: boolean;
  full(): void;
  turnOver(): void;
  measure(): void;
}

const PICTURE = { width: 1920, height: 1080 };

export function controls(viewer: ViewerHandle, around: Surroundings) {
  const { state } = viewer;
  const mode = (name: "orbit" | "fly", label: string) =>
    toggle(label, state.cameraMode === name, () => (state.cameraMode = name));
  return html`<div class="controls" role="toolbar" aria-label=${CONTROLS.title}>
    ${mode("orbit", CONTROLS.orbit)} ${mode("fly", CONTROLS.fly)}
    ${around.hasFlight ? toggle(CONTROLS.flight, isFlying(viewer), () => fly(viewer)) : nothing}
    <button @click=${() => reset(viewer)}>${CONTROLS.reset}</button>
    <button @click=${around.turnOver}>${CONTROLS.turn}</button>
    <button @click=${() => (state.performanceMode = !state.performanceMode)}>${state.performanceMode ? CONTROLS.sharper : CONTROLS.smoother}</button>
    <button @click=${() => void savePicture(viewer, around.name)}>${CONTROLS.picture}</button>
    ${toggle(CONTROLS.tape, around.isMeasuring, around.measure)}
    ${toggle(CONTROLS.full, around.isFull, around.full)}
  </div>`;
}

export function isFlying({ state }: ViewerHandle): boolean {
  return state.cameraMode === "anim" && !state.animationPaused;
}

/** On with the flight, or from its start where it has ended; or a pause, from which one can look around. */
function fly(viewer: ViewerHandle): void {
  const { state } = viewer;
  if (isFlying(viewer)) {
    state.animationPaused = true;
    state.cameraMode = "orbit";
  } else {
    state.cameraMode = "anim";
    state.animationPaused = false;
  }
}

function reset(viewer: ViewerHandle): void {
  viewer.state.cameraMode = "orbit"; // or flying would go back to where flying began
  viewer.resetCamera();
}

function toggle(label: string, isOn: boolean, act: () => void) {
  return html`<button aria-pressed=${isOn ? "true" : "false"} @click=${act}>${label}</button>`;
}

/** A PNG of what is seen, as a download. */
async function savePicture(viewer: ViewerHandle, name: string): Promise<void> {
  const { data, width, height } = await viewer.captureFrame({ ...PICTURE, supersample: 1 });
  const pixels = Uint8ClampedArray.from(atob(data), (character) => character.charCodeAt(0));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  canvas.getContext("2d")?.putImageData(new ImageData(pixels, width, height), 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) return;
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}.png` });
  link.click();
  URL.revokeObjectURL(link.href);
}
