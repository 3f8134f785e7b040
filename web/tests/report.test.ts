import assert from "node:assert/strict";
import { test } from "node:test";
import { findingsOf } from "../src/parts/report/findings.ts";
import { centreOf, depthOf, nearest, planOf, poseOf, project, roundLength } from "../src/parts/report/places.ts";
import { countsOf, psnrShare, rowsOf, selected, tileOf, windowOf } from "../src/parts/report/rows.ts";
import { viewRows } from "../src/parts/report/views.ts";
import type { CameraRow, ReportSource, SfmPhoto } from "../src/parts/report/types.ts";
import { against, sentence, share } from "../src/words/en.ts";

const HTML = "<img src=x onerror=alert(1)>.jpg";

/** Looking straight down from x, y, 40: x right is east, y down is south. */
function camera(name: string, x: number, y: number): CameraRow {
  return { name, width: 400, height: 300, fy: 200, world_to_camera: [[1, 0, 0, -x], [0, -1, 0, y], [0, 0, -1, 40], [0, 0, 0, 1]] };
}
function source(photos: SfmPhoto[], more: Partial<ReportSource["parts"]> = {}, apart: string[][] = []): ReportSource {
  return { name: "Beach", files: {}, hasModel: true, parts: { sfm: { photos, apart, georeference: { metric: true, axes: "x east, y north, z up, metres", origin: { latitude: 50, longitude: -5 } } }, ...more } };
}
const PLACED = { registered: true, points: 7 };
const PHOTOS: SfmPhoto[] = [
  { name: "a.png", dense_name: "a.png.jpg", position: [50, -5, 40], ...PLACED },
  { name: HTML, registered: false, reason: "it is blurred, and no other photo shows enough of the same", position: [50.001, -5, 40] },
  { name: "c.jpg", registered: false, reason: "it belongs to another part" },
  { name: "d.jpg", dense_name: "d.jpg", ...PLACED },
];

test("a photo's row has its fate, its words and its likeness, by the name that it has in training", () => {
  const views = [{ name: "a.png.jpg", held_out: true, psnr: 24.5 }, { name: "d.jpg", held_out: false, psnr: 19 }];
  const rows = rowsOf(source(PHOTOS, { train: { views }, cameras: [camera("d.jpg", 0, 0)] }, [["c.jpg"]]));
  assert.deepEqual(rows.map(({ fate }) => fate), ["placed", "left", "apart", "placed"]);
  assert.deepEqual(rows.map(({ psnr }) => psnr), [24.5, null, null, 19]);
  assert.deepEqual(rows.map(({ isHeldOut }) => isHeldOut), [true, false, false, false]);
  assert.equal(rows[1]?.words, "It is blurred, and no other photo shows enough of the same.");
  assert.deepEqual(countsOf(rows), { placed: 2, left: 1, apart: 1 });
  assert.deepEqual(selected(rows, "all", "worst").map(({ name }) => name), [HTML, "c.jpg", "d.jpg", "a.png"]);
  assert.deepEqual(selected(rows, "apart", "flown").map(({ name }) => name), ["c.jpg"]);
  assert.deepEqual(rowsOf({ name: "", files: {}, hasModel: false, parts: {} }), []);
});

test("findings come gravest first, in sentences, and names stay names", () => {
  const parts = source(PHOTOS, { compress: { missed: "The file is larger." } }, [["c.jpg"]]);
  parts.parts.sfm!.findings = [{ level: "go", sentence: `Known ${HTML}` }, { level: "stop", sentence: "Nothing fits." }];
  const findings = findingsOf(parts, rowsOf(parts));
  assert.equal(findings[0]?.sentence, "Nothing fits.");
  parts.parts.compress!.held_out = { model: 28.4, file: 28.16, loss: 0.24 };
  const loss = "Photos that training never saw are matched to 28.2 dB by the compressed model and to 28.4 dB by the full one: compression costs 0.24 dB.";
  assert.ok(findingsOf(parts, rowsOf(parts)).some(({ level, sentence }) => level === "go" && sentence === loss));
  assert.ok(findings.some(({ level, sentence }) => level === "warn" && sentence === "2 of 4 photos were placed."));
  assert.ok(findings.some(({ sentence }) => sentence.startsWith("The photos fall into 2 parts")));
  assert.equal(findings.at(-1)?.sentence, `Known ${HTML}`);
  assert.deepEqual(findingsOf({ name: "", files: {}, hasModel: false, parts: {} }, []), []);
});

test("what levels of detail cost is a sentence, where there are any", () => {
  const compress = { lod_levels: 4, lod_bytes: [2_000_000, 1_000_000, 500_000, 250_000], lod_meta_bytes: 50_000 };
  const sentences = (part: typeof compress | {}) => findingsOf({ name: "", files: {}, hasModel: true, parts: { compress: part } }, []).map(({ sentence }) => sentence);
  assert.deepEqual(sentences(compress), ["Viewers stream it in 4 levels of detail (3.8 MB more in storage): the first 300 kB show all of it."]);
  assert.deepEqual(sentences({}), []);
});

test("the views of the proof are rows by where they look from, with all of them last", () => {
  const views = [{ kind: "photo" }, { kind: "below" }, { kind: "photo" }, { kind: "toString" }];
  const kinds = { photo: { mean: 45, worst: 44 }, below: { mean: 41.94, worst: 41.94 }, toString: { mean: 40, worst: 40 } };
  assert.deepEqual(viewRows({ views, kinds, sog_psnr: 43, sog_psnr_worst: 40 }), [
    { name: "Where photos were taken", views: 2, mean: 45, worst: 44 },
    { name: "Halfway down to what they show", views: 1, mean: 41.94, worst: 41.94 },
    { name: "toString", views: 1, mean: 40, worst: 40 },
    { name: "All", views: 4, mean: 43, worst: 40 },
  ]);
  assert.deepEqual(viewRows({ sog_psnr: 43 }), [], "of a version that had no kinds");
  assert.deepEqual(viewRows(undefined), []);
});

test("of a long table only what is seen is drawn, wherever it is scrolled to", () => {
  for (const count of [0, 1, 9, 5000])
    for (const rowHeight of [0, 1, 89])
      for (const scrollTop of [-10, 0, 88, 4000, 1e9]) {
        const { from, to } = windowOf(count, rowHeight, scrollTop, 640);
        assert.ok(0 <= from && from <= to && to <= count, `${[count, rowHeight, scrollTop, from, to]}`);
        assert.ok(to - from <= 640 / Math.max(1, rowHeight) + 14);
        const middle = Math.floor((scrollTop + 320) / rowHeight);
        if (rowHeight && middle >= 0 && middle < count && scrollTop >= 0) assert.ok(from <= middle && middle < to);
      }
});

test("photos lie where the model has them, those that were left out where their positions say", () => {
  const cameras = [camera("a.png.jpg", 3, 4), camera("d.jpg", -20, 10)];
  const parts = source(PHOTOS, { cameras });
  const rows = rowsOf(parts);
  assert.deepEqual(centreOf(cameras[0]!), [3, 4, 40]);
  const plan = planOf(parts, rows)!;
  assert.deepEqual(plan.dots.map(({ row }) => row.name), ["a.png", HTML, "d.jpg"]);
  assert.deepEqual([plan.nowhere, plan.isMetric], [1, true]);
  assert.deepEqual([plan.dots[0]!.x, plan.dots[0]!.y], [3, 4]);
  assert.ok(Math.abs(plan.dots[1]!.y - 111.32) < 0.01 && Math.abs(plan.dots[1]!.x) < 1e-6);
  const projection = project(plan.dots, 800, 24);
  for (const dot of plan.dots) {
    const { x, y } = projection.at(dot);
    assert.ok(x >= 23 && x <= 777 && y >= 23 && y <= projection.height - 23);
    assert.equal(nearest(plan.dots, projection, x + 1, y, 44), dot);
  }
  assert.ok(projection.at(plan.dots[1]!).y < projection.at(plan.dots[0]!).y, "north is up");
  assert.equal(nearest(plan.dots, projection, 1e6, 0, 44), null);
});

test("without a place on the earth only the model's cameras are drawn, and without positions nothing", () => {
  const inUnits = source(PHOTOS, { cameras: [camera("a.png.jpg", 0, 0), camera("d.jpg", 1, 1)] });
  inUnits.parts.sfm!.georeference = { metric: false };
  assert.deepEqual([planOf(inUnits, rowsOf(inUnits))?.dots.length, planOf(inUnits, rowsOf(inUnits))?.isMetric], [2, false]);
  const shared = source(PHOTOS.map(({ position: _, ...photo }) => photo));
  assert.equal(planOf(shared, rowsOf(shared)), null);
  const untrained = source([...PHOTOS, { name: "e.jpg", registered: false, position: [50.002, -5, null] }]);
  untrained.parts.sfm!.georeference = {};
  assert.equal(planOf(untrained, rowsOf(untrained))?.dots.length, 3);
});

test("the viewer stands where the photo was taken and looks the same way", () => {
  const parts = source(PHOTOS, { cameras: [camera("a.png.jpg", 3, 4)] });
  parts.parts.sfm!.capture = { height_m: 39.7 };
  const pose = poseOf(camera("a.png.jpg", 3, 4), depthOf(parts));
  assert.deepEqual(pose.position, [3, 4, 40]);
  assert.deepEqual(pose.target.map((value) => Math.round(value * 1000) / 1000), [3, 4, 0.3]);
  assert.ok(Math.abs(pose.fov - 90) < 1e-9, "along the longer side, as the viewer has it");
});

test("scales and tiles", () => {
  assert.deepEqual([9, 10, 49, 0.3, 170].map(roundLength), [5, 10, 20, 0.2, 100]);
  assert.deepEqual([0, 10, 25, 40, 100].map(psnrShare), [0, 0, 0.5, 1, 1]);
  assert.deepEqual(tileOf(123), { file: "colmap/thumbs-1.webp", column: 3, row: 2 });
  assert.deepEqual([0.001, 0.376].map(share), ["under 1 %", "38 %"]);
  assert.deepEqual([against(0.08, 0.1), against(0.1, 0.08), against(0.1, 0.1), against(0, 1)], ["20 % under", "25 % over", "as estimated", ""]);
  assert.deepEqual(["", "it is blurred", "Done."].map(sentence), ["", "It is blurred.", "Done."]);
});
