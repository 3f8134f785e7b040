/** Opens a model in the engine. This module comes with the engine, and so only when there is a model to look at. */

import { createViewer, type ViewerHandle } from "@playcanvas/supersplat-viewer/viewer";
import { Quat, Vec3, type Entity } from "playcanvas";

export type { ViewerHandle };
export type Direction = readonly [number, number, number];
interface Pose {
  position: [number, number, number];
  target: [number, number, number];
  fov: number;
}

const SKY: [number, number, number] = [11 / 255, 14 / 255, 18 / 255];
const OFF = { enabled: false };
const EFFECTS = {
  sharpness: { ...OFF, amount: 0 },
  bloom: { ...OFF, intensity: 0, blurLevel: 2 },
  grading: { ...OFF, brightness: 1, contrast: 1, saturation: 1, tint: [1, 1, 1] },
  vignette: { ...OFF, intensity: 0, inner: 0, outer: 1, curvature: 1 },
  fringing: { ...OFF, intensity: 0 },
};

/**
 * @param contents the answer with the model's bytes, already checked: the engine does not say when it has none
 * @param up which way is up in the model's own coordinates
 * @param view where to stand first, in the engine's coordinates (y up); null frames the whole
 * Throws where the browser can draw no 3D.
 */
export async function openModel(container: HTMLElement, contents: Response, up: Direction, view: Pose | null): Promise<ViewerHandle> {
  const viewer = await createViewer({
    container,
    ui: false,
    noanim: true, // nothing moves by itself
    contentUrl: contents.url,
    contentFilename: "model.sog",
    contents: Promise.resolve(contents),
    settings: {
      version: 2,
      tonemapping: "none",
      highPrecisionRendering: false,
      background: { color: SKY },
      postEffectSettings: EFFECTS,
      animTracks: [],
      cameras: view ? [{ initial: view }] : [],
      annotations: [],
      startMode: "default",
    },
  });
  const upright = new Quat().setFromDirections(new Vec3(...up), Vec3.UP);
  viewer.app.root.on("childinsert", (entity: Entity) => {
    if (entity.name === "gsplat") entity.setLocalRotation(upright); // before the viewer takes its bounds; it assumes y down
  });
  return viewer;
}
