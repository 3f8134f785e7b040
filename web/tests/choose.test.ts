import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { changesOf, defaultOf, fieldsOf, optionsOf, problemWith } from "../src/api/schema.ts";
import { metres } from "../src/parts/flight_map.ts";
import { choose, nameOf, type Chosen } from "../src/upload/choose.ts";
import { sameFiles, type UploadRecord } from "../src/upload/resume.ts";

const file = (path: string, size = 5): Chosen => ({ path, file: new File([new Uint8Array(size)], path.split("/").at(-1) ?? "", { lastModified: 7 }) });
const schema = JSON.parse(readFileSync("events/JobOptions.schema.json", "utf8")) as Record<string, unknown>;
const fields = new Map(fieldsOf(schema).map((field) => [`${field.group}.${field.name}`, field]));
const field = (key: string) => fields.get(key) ?? assert.fail(key);

test("photos, videos and what belongs to them are of use; all else says why not", () => {
  const choice = choose(["a/DJI_1.JPG", "a/x.heic", "a/clip.MP4", "a/geo.txt", "a/notes.docx", "a/.DS_Store", "a/old.zip"].map((path) => file(path)).concat(file("a/empty.jpg", 0)));
  assert.deepEqual([choice.photos, choice.videos, choice.files.length, choice.isZip, choice.bytes], [2, 1, 4, false, 20]);
  assert.deepEqual(choice.ignored.map((each) => each.reason), ["no photo or video", "hidden file of a system", "a zip goes alone", "empty"]);
  assert.equal(nameOf(choice, new Date(0)), "a");
});

test("one zip goes as it is", () => {
  const choice = choose([file("Beach.ZIP")]);
  assert.deepEqual([choice.isZip, choice.files.length, nameOf(choice, new Date(0))], [true, 1, "Beach"]);
});

test("an upload goes on with the same files only, wherever they lie now", () => {
  const marks = ["a/1.jpg", "a/2.jpg"].map((path) => ({ path, size: 5, modified: 7 }));
  const record = { files: marks } as unknown as UploadRecord;
  const moved = [{ path: "2.jpg", size: 5, modified: 7 }, { path: "b/1.jpg", size: 5, modified: 7 }, { path: "3.jpg", size: 5, modified: 7 }];
  assert.deepEqual(sameFiles(record, moved), { files: [moved[1], moved[0]] });
  assert.deepEqual(sameFiles(record, [moved[0]!, { path: "1.jpg", size: 6, modified: 7 }]), { different: ["a/1.jpg"] });
  assert.deepEqual(sameFiles(record, [moved[0]!, moved[1]!, { path: "c/1.jpg", size: 5, modified: 7 }]), { different: ["a/1.jpg"] }, "which of the two?");
});

test("every option of the schema is a field, with its bounds", () => {
  assert.equal(fields.size, Object.entries(schema["$defs"] as Record<string, { properties?: object }>)
    .filter(([name]) => name.endsWith("Options")).reduce((sum, [, each]) => sum + Object.keys(each.properties ?? {}).length, 0) + 1);
  const iterations = field("train.max_iterations");
  assert.deepEqual([iterations.kind, iterations.isNullable, iterations.isInteger, iterations.minimum, iterations.maximum], ["number", true, true, 1, 100000]);
  assert.deepEqual(field("sfm.first_octave").choices, [-1, 0]);
  assert.deepEqual(field("compress.preset").choices, ["web", "balanced", "archive"]);
  assert.equal(field(".compress_enabled").kind, "switch");
  assert.deepEqual(["", "0", "1", "1.5", "x", "100001"].map((text) => problemWith(iterations, text) === null), [true, false, true, false, false, false]);
  assert.equal(problemWith(field("train.target_psnr"), "0"), "More than 0.");
  assert.notEqual(problemWith(field("train.sh_degree"), ""), null);
});

test("what differs from the preset is sent, and no more", () => {
  const answer = { schema, defaults: { sfm: { max_photos: 500 }, compress_enabled: true }, presets: { draft: { sfm: { max_photos: 150 }, train: { preset: "draft" } } } };
  assert.equal(defaultOf(field("sfm.max_photos"), answer, "draft"), 150);
  assert.equal(defaultOf(field("sfm.max_photos"), answer, "standard"), 500);
  assert.equal(defaultOf(field(".compress_enabled"), answer, "draft"), true);
  assert.deepEqual(optionsOf("draft", new Map<string, unknown>([["train.sh_degree", 2], [".compress_enabled", false]])), { preset: "draft", train: { sh_degree: 2 }, compress_enabled: false });
  assert.deepEqual(changesOf(answer, "draft"), ["Most photos: 150"]);
});

test("a flight is drawn in metres", () => {
  const [first, second] = metres([{ latitude: 50, longitude: 7 }, { latitude: 49.999, longitude: 7.001 }]);
  assert.deepEqual(first, { x: 0, y: 0 });
  assert.ok(Math.abs((second?.y ?? 0) - 111.32) < 0.01 && Math.abs((second?.x ?? 0) - 71.55) < 0.1);
});
