/** Which of the dropped files are of use, and why the others are not. */

export interface Choice {
  /** Of use, with their paths below what was dropped. */
  files: Chosen[];
  ignored: { path: string; reason: string }[];
  photos: number;
  videos: number;
  /** Whether it is one zip, which goes as it is. */
  isZip: boolean;
  bytes: number;
}
export interface Chosen {
  path: string;
  file: File;
}

const PHOTOS = [".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif", ".dng", ".insp"];
const VIDEOS = [".mp4", ".mov", ".m4v", ".insv"];
const TEXTS = ["gcp_list.txt", "geo.txt", "spaceport.json"];
const MODELS = ["cameras", "images", "points3d"].flatMap((name) => [`${name}.bin`, `${name}.txt`]);
const MAX_DEPTH = 20;
const MAX_FILES = 65_000;

export function choose(dropped: readonly Chosen[]): Choice {
  const [only] = dropped;
  const isZip = dropped.length === 1 && only !== undefined && only.path.toLowerCase().endsWith(".zip");
  const choice: Choice = { files: [], ignored: [], photos: 0, videos: 0, isZip, bytes: 0 };
  for (const each of dropped) {
    const reason = isZip ? null : reasonAgainst(each);
    if (reason !== null) {
      choice.ignored.push({ path: each.path, reason });
      continue;
    }
    choice.files.push(each);
    choice.bytes += each.file.size;
    if (isOne(each.path, PHOTOS)) choice.photos += 1;
    if (isOne(each.path, VIDEOS)) choice.videos += 1;
  }
  return choice;
}

function isOne(path: string, suffixes: string[]): boolean {
  return suffixes.some((suffix) => path.toLowerCase().endsWith(suffix));
}

/** Why a file stays here; null where it is of use. */
function reasonAgainst({ path, file }: Chosen): string | null {
  const name = (path.split("/").at(-1) ?? "").toLowerCase();
  if (name.startsWith(".") || name.startsWith("._") || path.includes("__MACOSX/")) return "hidden file of a system";
  if (file.size === 0) return "empty";
  if (isOne(name, PHOTOS) || isOne(name, VIDEOS) || TEXTS.includes(name) || MODELS.includes(name)) return null;
  if (name.endsWith(".zip")) return "a zip goes alone";
  return "no photo or video";
}

/** All files of a drop, those in folders too. */
export async function filesOfDrop(data: DataTransfer): Promise<Chosen[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!entries.length) return filesOfInput(data.files);
  const files: Chosen[] = [];
  for (const entry of entries) await walk(entry, "", 0, files);
  return files;
}

export function filesOfInput(list: FileList): Chosen[] {
  return [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

async function walk(entry: FileSystemEntry, folder: string, depth: number, files: Chosen[]): Promise<void> {
  const path = folder + entry.name;
  if (files.length >= MAX_FILES) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    files.push({ path, file });
  } else if (entry.isDirectory && depth < MAX_DEPTH) {
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      for (const each of some) await walk(each, `${path}/`, depth + 1, files);
    }
  }
}

/** A name for a job of these files: that of their folder, of the zip, or of the day. */
export function nameOf(choice: Choice, today: Date): string {
  const paths = choice.files.map((each) => each.path);
  const [first] = paths;
  if (choice.isZip && first) return first.replace(/\.zip$/i, "");
  const folder = first?.includes("/") ? first.slice(0, first.indexOf("/")) : "";
  if (folder && paths.every((path) => path.startsWith(`${folder}/`))) return folder;
  return `Flight of ${today.toLocaleDateString("en", { dateStyle: "medium" })}`;
}
