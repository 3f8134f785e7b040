/** Opens a model in the engine. This module comes with the engine, and so only when there is a model to look at. */

import { createViewer, type ViewerHandle } from "@playcanvas/supersplat-viewer/viewer";
import { Mat4, Quat, Vec3, type Asset, type CameraComponent, type Entity } from "playcanvas";
import { animation, turned, type Pose, type ViewerFile } from "./settings.ts";
import { LOD_META, type SignedFiles } from "./signing.ts";
import { apply, inverse, type Point, type Rotation } from "./vectors.ts";

export type { ViewerHandle };

/** A model in one file. The engine starts while its bytes are under way; a promise that is rejected is never handed over, since the engine does not say so. */
export interface ModelFile {
  address: string;
  bytes: Promise<Response>;
}
export interface Opening {
  container: HTMLElement;
  model: ModelFile | SignedFiles;
  /** From the model's coordinates to the engine's. */
  rotation: Rotation;
  /** How it is looked at first; null frames the whole. */
  look: Pick<ViewerFile, "view" | "flight"> | null;
  isMoving: boolean;
  /** Millions of Gaussians that are drawn at most, of a model in levels; null as the engine decides. */
  budget: number | null;
}
/** An opened model. Points and poses are in the model's own coordinates, places in pixels of the container. */
export interface OpenModel {
  viewer: ViewerHandle;
  standAt(pose: Pose): void;
  /** What of the model is at a place; null where nothing is. */
  pick(x: number, y: number): Promise<Point | null>;
  /** Where a point is seen; null behind the camera. */
  project(point: Point): [number, number] | null;
  /** Whether a click is somebody else's, so that the camera does not move to it. */
  setClicksElsewhere(are: boolean): void;
  /** Called whenever the picture has changed. */
  onFrame(call: () => void): void;
}
/** What the viewer calls its picker; places are shares of the canvas. */
interface Picker {
  pick(x: number, y: number): Promise<Vec3 | null>;
  pickSurface(x: number, y: number): Promise<unknown>;
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

/** Throws where the browser can draw no 3D. */
export async function openModel(opening: Opening): Promise<OpenModel> {
  const { container, model, rotation, look, isMoving, budget } = opening;
  const levels = "bytes" in model ? null : model;
  const content = "bytes" in model
    ? { contentUrl: model.address, contentFilename: "model.sog", contents: model.bytes }
    : { contentUrl: model.urlOf(LOD_META) ?? "", contentFilename: LOD_META };
  const viewer = await createViewer({
    container,
    ui: false,
    noanim: !isMoving,
    ...content,
    ...(budget == null ? {} : { budget }),
    settings: {
      version: 2,
      tonemapping: "none",
      highPrecisionRendering: false,
      background: { color: SKY },
      postEffectSettings: EFFECTS,
      animTracks: look?.flight ? [animation(rotation, look.flight)] : [],
      cameras: look?.view ? [{ initial: turned(rotation, look.view) }] : [],
      annotations: [STANDING],
      startMode: look?.flight ? "animTrack" : "default",
    },
  });
  viewer.state.showAnnotations = false;
  if (levels) viewer.app.assets.on("add", (asset: Asset) => sign(asset, levels));
  const upright = new Quat().setFromMat4(matrix(rotation));
  viewer.app.root.on("childinsert", (entity: Entity) => {
    if (entity.name !== "gsplat") return;
    entity.setLocalRotation(upright); // before the viewer takes its bounds; it assumes y down
    if (levels) viewer.app.autoRender = true;
    else viewer.app.renderNextFrame = true; // the engine asks for more when it has sorted
  });
  viewer.app.autoRender = false; // until there is something to draw: the time of empty pictures is the loading's
  return { viewer, ...hands(viewer, rotation) };
}

/** A place that is filled in before the camera goes there: of all commands, only an annotation's takes a pose. */
const STANDING = { position: [0, 0, 0], title: "", text: "", extras: {}, camera: { initial: { position: [0, 0, 1], target: [0, 0, 0], fov: 60 } } };

/** A set of Gaussians of one level: its files have addresses of their own. */
function sign(asset: Asset, files: SignedFiles): void {
  if (asset.type !== "gsplat") return;
  const name = files.nameOf((asset.file as { url?: string } | null)?.url ?? "");
  if (!name || name === LOD_META) return;
  const folder = name.slice(0, name.lastIndexOf("/") + 1);
  (asset.file as { url: string }).url = files.urlOf(name) ?? "";
  asset.options = { ...asset.options, mapUrl: (file: string) => files.urlOf(folder + file) ?? "" };
}

function matrix([x, y, z]: Rotation): Mat4 {
  return new Mat4().set([x[0], y[0], z[0], 0, x[1], y[1], z[1], 0, x[2], y[2], z[2], 0, 0, 0, 0, 1]); // by columns
}

function hands(viewer: ViewerHandle, rotation: Rotation): Omit<OpenModel, "viewer"> {
  const { app } = viewer;
  const back = inverse(rotation);
  const camera = () => app.root.findComponent("camera") as CameraComponent | null;
  const canvas = () => app.graphicsDevice.canvas as HTMLCanvasElement;
  let areElsewhere = false;
  let picker: Picker | null = null;
  viewer.events.on("picker:ready", (ready: Picker) => {
    picker = ready;
    const surface = ready.pickSurface;
    ready.pickSurface = (x, y) => (areElsewhere ? Promise.resolve(null) : surface(x, y)); // the viewer's own clicks
  });
  return {
    standAt: (pose) => {
      const { position, target, fov } = turned(rotation, pose);
      const annotation = viewer.annotations[0] as unknown as typeof STANDING;
      Object.assign(annotation, { position: target, camera: { initial: { position, target, fov } } });
      viewer.selectAnnotation(0);
    },
    pick: async (x, y) => {
      const { clientWidth, clientHeight } = canvas();
      const point = await picker?.pick(x / clientWidth, y / clientHeight);
      return point ? apply(back, [point.x, point.y, point.z]) : null;
    },
    project: (point) => {
      const component = camera();
      if (!component) return null;
      const [x, y, z] = apply(rotation, point);
      const place = component.worldToScreen(new Vec3(x, y, z));
      return place.z > 0 ? [place.x, place.y] : null;
    },
    setClicksElsewhere: (are) => {
      areElsewhere = are;
    },
    onFrame: (call) => void app.on("frameend", call),
  };
}
