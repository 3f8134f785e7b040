/** The viewer's controls: buttons with names, for all that can be done by dragging, and more. */

import { html } from "lit-html";
import { CONTROLS } from "../words/en.ts";
import type { ViewerHandle } from "./open.ts";

interface Surroundings {
  name: string;
  isFull: boolean;
  full(): void;
  turnOver(): void;
  redraw(): void;
}

const PICTURE = { width: 1920, height: 1080 };

export function controls(viewer: ViewerHandle, around: Surroundings) {
  const { state } = viewer;
  const mode = (name: "orbit" | "fly", label: string) =>
    toggle(label, state.cameraMode === name, () => (state.cameraMode = name));
  return html`<div class="controls" role="toolbar" aria-label=${CONTROLS.title}>
    ${mode("orbit", CONTROLS.orbit)} ${mode("fly", CONTROLS.fly)}
    <button @click=${() => viewer.resetCamera()}>${CONTROLS.reset}</button>
    <button @click=${around.turnOver}>${CONTROLS.turn}</button>
    ${toggle(CONTROLS.smooth, state.performanceMode, () => (state.performanceMode = !state.performanceMode))}
    <button @click=${() => void savePicture(viewer, around.name)}>${CONTROLS.picture}</button>
    ${toggle(CONTROLS.full, around.isFull, around.full)}
  </div>`;
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
