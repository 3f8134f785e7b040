import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { animation, readViewer, turned } from "../src/viewer/settings.ts";
import { SignedFiles, type ModelAnswer } from "../src/viewer/signing.ts";
import { area, measure } from "../src/viewer/tape.ts";
import { apply, distance, inverse, upright, type Point, type Rotation } from "../src/viewer/vectors.ts";
import { metres, squareMetres } from "../src/words/en.ts";

const near = (a: Point, b: Point) => assert.ok(distance(a, b) < 1e-9, `${a} is not ${b}`);
const random = (() => {
  let state = 7;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647 - 0.5;
})();
const somewhere = (): Point => [random() * 10, random() * 10, random() * 10];

test("any direction becomes the engine's up, by a rotation", () => {
  const ups: Point[] = [[0, 0, 1], [0, 0, -1], [0, 1, 0], [0, -1, 0], [0, -2, 0], ...Array.from({ length: 50 }, somewhere)];
  for (const up of ups) {
    const rotation = upright(up);
    const length = Math.hypot(...up);
    near(apply(rotation, [up[0] / length, up[1] / length, up[2] / length]), [0, 1, 0]);
    const [a, b] = [somewhere(), somewhere()];
    assert.ok(Math.abs(distance(apply(rotation, a), apply(rotation, b)) - distance(a, b)) < 1e-9);
    near(apply(inverse(rotation), apply(rotation, a)), a);
    const [x, y, z] = rotation;
    assert.ok(Math.abs(x[0] * (y[1] * z[2] - y[2] * z[1]) - x[1] * (y[0] * z[2] - y[2] * z[0]) + x[2] * (y[0] * z[1] - y[1] * z[0]) - 1) < 1e-9, "no mirror");
  }
  near(apply(upright([0, 0, 1]), [1, 2, 3]), [1, 3, -2]);
});

const key = (time: number) => ({ time, position: [time, 0, 5], target: [0, 0, 0], fov: 60 });
const FILE = {
  up: [0, 0, 1],
  view: key(0),
  flight: { seconds: 2, keys: [key(0), key(1), key(2)] },
  metric: { is_metric: true, unit_m: 1, scale_uncertainty: 0.01, uncertainty_m: 1, why_not: null },
};

test("what is no viewer.json shows all of the model, z up, and measures nothing", () => {
  const hostile = [null, 7, "x", [], {}, { up: [0, 0, 0] }, { up: ["0", 0, 1], view: { position: [0, 0] }, flight: { seconds: 1, keys: "xx" }, metric: { is_metric: "true" } }];
  for (const value of hostile) {
    const read = readViewer(value);
    assert.deepEqual([read.up, read.view, read.flight, read.metric.is_metric], [[0, 0, 1], null, null, false]);
  }
  assert.equal(readViewer({ metric: { is_metric: false, why_not: "No GPS." } }).metric.why_not, "No GPS.");
  assert.equal(readViewer({ ...FILE, flight: { seconds: 2, keys: [key(1), key(1)] } }).flight, null);
  assert.equal(readViewer({ ...FILE, flight: { seconds: 2, keys: [key(0), key(9)] } }).flight, null);
  assert.equal(readViewer({ ...FILE, flight: { seconds: 2, keys: Array.from({ length: 1001 }, (_, at) => key(at / 1000)) } }).flight, null);
  assert.equal(readViewer({ ...FILE, view: { ...key(0), fov: 180 } }).view, null);
  assert.equal(readViewer({ ...FILE, metric: { is_metric: true, unit_m: -1, scale_uncertainty: null } }).metric.unit_m, 1);
});

test("the flight and the view are turned as the model is", () => {
  const { view, flight, up } = readViewer(FILE);
  assert.ok(view && flight);
  const rotation = upright(up);
  assert.deepEqual(turned(rotation, view), { position: [0, 5, 0], target: [0, 0, 0], fov: 60 });
  const track = animation(rotation, flight);
  assert.deepEqual(track.keyframes.times, [0, 30, 60]);
  assert.deepEqual(track.keyframes.values.position.map((value) => value + 0), [0, 5, 0, 1, 5, 0, 2, 5, 0]);
  assert.equal(track.duration, 2);
});

const METRIC = readViewer(FILE).metric;

test("a tape measures lengths and areas, with what is known of the scale", () => {
  const square: Point[] = [[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]];
  const { lengths, length, area: enclosed } = measure(square, METRIC);
  assert.deepEqual(lengths.map(({ value }) => value), [4, 3, 4]);
  assert.deepEqual(length, { value: 11, uncertainty: 0.11 });
  assert.deepEqual(enclosed, { value: 12, uncertainty: 0.24 });
  assert.equal(measure(square.slice(0, 2), METRIC).area, null);
  assert.equal(measure(square.slice(0, 1), METRIC).length, null);
  const feet = measure(square, { ...METRIC, unit_m: 0.5, scale_uncertainty: null });
  assert.deepEqual([feet.length, feet.area], [{ value: 5.5, uncertainty: null }, { value: 3, uncertainty: null }]);
});

test("neither moving, turning nor another first point changes an area", () => {
  for (let round = 0; round < 50; round += 1) {
    const points = Array.from({ length: 3 + (round % 5) }, somewhere);
    const rotation: Rotation = upright(somewhere());
    const offset = somewhere();
    const moved = points.map((point): Point => {
      const [x, y, z] = apply(rotation, point);
      return [x + offset[0], y + offset[1], z + offset[2]];
    });
    assert.ok(Math.abs(area(moved) - area(points)) < 1e-9 * (1 + area(points)));
    assert.ok(Math.abs(area([...points.slice(1), points[0] as Point]) - area(points)) < 1e-9 * (1 + area(points)));
    assert.ok(Math.abs(area([...points].reverse()) - area(points)) < 1e-9 * (1 + area(points)));
  }
});

test("figures are as exact as they are known", () => {
  assert.equal(metres({ value: 12.3456, uncertainty: null }), "12.35 m");
  assert.equal(metres({ value: 0.1234, uncertainty: null }), "0.123 m");
  assert.equal(metres({ value: 12.3456, uncertainty: 0.148 }), "12.35 ± 0.15 m");
  assert.equal(metres({ value: 1234.5678, uncertainty: 14.8 }), "1,235 ± 15 m");
  assert.equal(metres({ value: 12.3456, uncertainty: 0.0001 }), "12.346 ± 0.001 m", "nobody picks a point better than that");
  assert.equal(squareMetres({ value: 85.123, uncertainty: 2.04 }), "85.1 ± 2.0 m²");
});

const answer = (signature: string, expires: number): ModelAnswer => ({
  format: "lod",
  files: Object.fromEntries(["lod-meta.json", "0_0/meta.json", "0_0/means l.webp"].map((name) => [name, `https://s3.test/bucket/jobs/a-1/compressed/lod/${encodeURI(name)}?X-Amz-Signature=${signature}`])),
  bytes: {},
  viewer: null,
  poster: null,
  flight: null,
  expires_at: new Date(expires).toISOString(),
});

test("files are named by their addresses, and are no one else's", () => {
  const files = new SignedFiles(answer("a", 3_600_000), async () => answer("b", 0), () => 0);
  assert.equal(files.nameOf("https://s3.test/bucket/jobs/a-1/compressed/lod/0_0/meta.json"), "0_0/meta.json");
  assert.equal(files.nameOf("https://s3.test/bucket/jobs/a-1/compressed/lod/0_0/meta.json?X-Amz-Signature=a"), "0_0/meta.json");
  assert.equal(files.nameOf("https://s3.test/bucket/jobs/a-1/compressed/lod/0_0/means%20l.webp"), "0_0/means l.webp");
  for (const other of ["https://evil.test/bucket/jobs/a-1/compressed/lod/0_0/meta.json", "https://s3.test/bucket/jobs/b-2/compressed/lod/0_0/meta.json", "0_0/meta.json", "", "https://s3.test/bucket/jobs/a-1/compressed/lod/constructor"])
    assert.equal(files.nameOf(other), null, other);
  assert.equal(files.urlOf("toString"), null);
  assert.match(files.urlOf("0_0/meta.json") ?? "", /Signature=a$/);
  files.close();
});

test("addresses are renewed before they end, and a failure is tried again", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const answers = [() => Promise.reject(new Error("offline")), () => Promise.resolve(answer("b", 7_200_000))];
    let asked = 0;
    const files = new SignedFiles(answer("a", 3_600_000), () => (answers[asked++] ?? (() => Promise.reject(new Error("once more"))))(), () => 0);
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    mock.timers.tick(2_879_000);
    assert.equal(asked, 0);
    mock.timers.tick(2_000);
    await settle();
    assert.equal(asked, 1);
    assert.match(files.urlOf("lod-meta.json") ?? "", /=a$/);
    mock.timers.tick(31_000);
    await settle();
    assert.match(files.urlOf("lod-meta.json") ?? "", /=b$/);
    files.close();
    mock.timers.tick(10_000_000);
    await settle();
    assert.equal(asked, 2);
  } finally {
    mock.timers.reset();
  }
});
