/** Every sentence of the page, and how figures are written. */

import { STAGES, type Failure, type Figure, type Job, type LivePicture, type Score, type Stage, type State } from "../api/types.ts";

export const APP = "Spaceport";

/** What a job's state means. Those of a running job are the five that users know, as `jobs.MESSAGES` has them. */
export const HEADLINES: Record<State, string> = {
  RECEIVED: "Setting up your processing pipeline",
  SFM: "Extracting features from uploaded images",
  TRAINING: "Training advanced neural 3D representation",
  COMPRESSING: "Compressing with PlayCanvas SOGS algorithm",
  COMPLETED: "Your compressed 3D model is ready!",
  COMPLETED_DEGRADED: "Your 3D model is ready, uncompressed",
  FAILED: "This job could not be finished",
  STOPPED: "Processing stopped, finished work kept",
  REJECTED: "This upload could not be used",
};
export const STATE_NAMES: Record<State, string> = {
  RECEIVED: "Waiting", SFM: "Running", TRAINING: "Running", COMPRESSING: "Running", COMPLETED: "Ready",
  COMPLETED_DEGRADED: "Ready, uncompressed", FAILED: "Failed", STOPPED: "Stopped", REJECTED: "Not usable",
};
export const STAGE_NAMES: Record<Stage, string> = { sfm: "Place photos", train: "Train", compress: "Compress" };
export const TABS = { title: "The job", look: "Look", report: "Report", files: "Files", share: "Share" };

export const OFFLINE = "No connection. Going on by itself.";
export const KEY = {
  title: "Your key",
  refused: "This key is not accepted. Check it, or ask whoever runs this Spaceport for another.",
  missing: "Whoever runs this Spaceport has a key for you.",
  link: "Type “spaceport link” in a terminal: it prints a link that opens this page signed in. A key does as well.",
  used: "This link was used already, or is too old.",
  label: "API key",
  remember: "Remember on this device",
  open: "Open",
  forget: "Sign out",
  signIn: "Sign in",
  or: "Or with a key:",
  ended: "What let you in is not accepted any more. Sign in again.",
  paused: "The upload waits for a key that is accepted.",
};
export const HOME = {
  title: "Your jobs",
  none: "No job yet. The first one appears here as soon as its upload is complete.",
  noneOfThese: "None of these.",
  more: "Show more",
  failed: "The jobs could not be loaded.",
};
export const FILTERS = { all: "All", mine: "Mine", running: "Running", ready: "Ready", failed: "Failed" } as const;
export const STOP = {
  button: "Stop",
  title: (name: string) => `Stop ${name}?`,
  keep: "Keep going",
  confirm: "Stop",
  text: (job: Job, paid: string | null) =>
    `${kept(finished(job)) || "Nothing is finished yet"}; ${job.stage ? `${STAGE_STARTS[job.stage]} over` : "all starts over"}.${paid ? ` Spent so far: ${paid}.` : ""}`,
};
export const DELETE = {
  button: "Delete",
  title: (name: string) => `Delete ${name}?`,
  text: (job: Job) =>
    `Its upload${typeof job.counts["photos"] === "number" ? `, ${count(job.counts["photos"], "photo")}` : ""}, ${finished(job).includes("train") ? "the model, " : ""}its report and files, and every link to it go for good. Jobs that were built on it are not touched.`,
  keep: "Keep it",
  confirm: "Delete",
};
export const RETRY = {
  button: "Go on from…",
  again: "Compress again",
  title: (name: string) => `Go on with ${name}`,
  from: "Go on from",
  kept: (stage: Stage) => `${kept(STAGES.slice(0, STAGES.indexOf(stage))) || "The photos are uploaded"}. This begins a new job; the old one stays as it is.`,
  keep: "Not now",
  confirm: "Go on",
};
export const TELL = {
  button: "Tell me when it ends",
  on: "You will be told when it ends, as long as this tab is open.",
  refused: "This browser lets the page tell you nothing. Allow notifications of this page, then try again.",
};
export const LIVE = {
  photo: ({ photo, held_out }: LivePicture) => `${held_out ? "Held-out photo" : "Photo"} ${photo}`,
  model: ({ iteration }: LivePicture) => `Model after ${count(iteration, "iteration")}`,
  alt: (picture: LivePicture) => `Left: ${LIVE.photo(picture)}. Right: the model from the same place, after ${count(picture.iteration, "iteration")}.`,
  caption: ({ at, held_out }: LivePicture, now: number) => `${held_out ? "The model never saw this photo. " : ""}Picture from ${age(at, now)}.`,
};
export const CURVE = {
  x: "iterations",
  y: "PSNR, dB",
  label: (first: Score, last: Score) =>
    `Curve of the PSNR: ${first.psnr.toFixed(1)} dB after ${count(first.iteration, "iteration")}, ${last.psnr.toFixed(1)} dB after ${count(last.iteration, "iteration")}.`,
  caption: (last: Score) => `${last.psnr.toFixed(1)} dB now: how close the model comes to photos it is measured by. More is better.`,
};
export const REJECTED = {
  title: "What was uploaded",
  guilty: "this one",
  others: (n: number) => `and ${count(n, "other file")}`,
};
/** What happens, or has happened, beyond the headline: never the same words twice. */
export function secondLine(job: Job): string {
  if (job.failure) return job.failure.sentence;
  if (job.state === "STOPPED") return finished(job).length ? `${kept(finished(job))}.` : "";
  const headline = HEADLINES[job.state];
  return job.message.startsWith(headline) ? job.message.slice(headline.length).replace(/^[:.,\s]+/, "") : job.message;
}

const RESULTS: Record<Stage, string> = { sfm: "placed photos", train: "the trained model", compress: "the compressed model" };
const STAGE_STARTS: Record<Stage, string> = { sfm: "placing photos starts", train: "training starts", compress: "compressing starts" };

function finished(job: Job): Stage[] {
  return STAGES.slice(0, STAGES.findLastIndex((stage) => job.outputs[stage]) + 1);
}

function kept(stages: readonly Stage[]): string {
  const results = new Intl.ListFormat("en").format(stages.map((stage) => RESULTS[stage]));
  return results ? `${results.charAt(0).toUpperCase()}${results.slice(1)} ${stages.length === 1 && stages[0] !== "sfm" ? "is" : "are"} kept` : "";
}
export const GO_ON = (stage: Stage) => `Go on from ${STAGE_NAMES[stage]}`;
export const SILENT = (seconds: number) => `No word for ${duration(seconds)}; it is being looked after.`;
export const DATED = (iso: string) => `As of ${new Date(iso).toLocaleTimeString("en")}.`;
export const THEMES = { system: "System", light: "Light", dark: "Dark" } as const;
export const VIEWER = {
  loading: "Loading the model",
  noWebgl: "This browser cannot draw 3D here: it has neither WebGL nor WebGPU. Here is how the model looks; its files can be downloaded.",
  failed: "The model could not be loaded.",
  lost: "The browser has lost its 3D drawing twice. Here is how the model looks; its files can be downloaded.",
  large: "This is a large model for a phone.",
  anyway: (size: number) => `Show anyway, ${bytes(size)}`,
  flight: "Flight through the model",
  again: "Try again",
  name: (job: string) => `3D model of ${job}. Arrow keys or W, A, S, D move, plus and minus zoom, Escape leaves.`,
};

/** What the holder of a link reads. */
export const SHARED = {
  loading: "Opening",
  invalidTitle: "Nothing to see here",
  invalid: "This link no longer works. Ask whoever sent it.",
  trouble: "Not loaded",
  wait: "The model appears here as soon as it is ready.",
  tabs: "What the link shows",
  made: (iso: string) => `Made ${day(iso)}`,
  until: (iso: string) => `This link works until ${day(iso)}`,
  picture: (job: string) => `Picture of ${job}`,
  open: "Look around in 3D",
  nowhere: (error: string) => `The page does not know where its Spaceport is: ${error}.`,
};

export const SHARE = {
  about: "A link shows this job to people without an account, until it ends or you withdraw it. Your mail address, options and costs stay with you.",
  laptop: "This Spaceport runs on this machine alone: its links open in browsers on this machine, while it runs.",
  make: "A new link",
  scope: "What it shows",
  scopes: {
    look: { name: "Look", text: "the model, to look around in" },
    report: { name: "Report", text: "and what was measured, with the photos' names" },
    download: { name: "Download", text: "and the model's files" },
  },
  positions: "Where on the earth the photos were taken, too",
  withPositions: ", with positions",
  days: "Days until it ends",
  label: "Note for you",
  labelNote: "nobody else sees it",
  button: "Make a link",
  ready: "The link",
  once: "Copy it now: it is shown this once. Whoever has it can open it and hand it on.",
  link: "Link",
  frame: "For a web page, as HTML",
  noFrame: "To put the model into a web page, make a link of the kind Look: everybody who sees the page has its link.",
  copy: { link: "Copy the link", frame: "Copy the HTML" },
  copied: "Copied",
  list: "Links that work",
  none: "None yet.",
  noLabel: "Without a note",
  until: (iso: string) => `until ${day(iso)}`,
  withdraw: "Withdraw",
  withdrawName: (label: string) => `Withdraw: ${label}`,
  withdrawTitle: (label: string) => `Withdraw ${label ? `“${label}”` : "this link"}?`,
  withdrawText: "Whoever opens it then reads that it no longer works. That cannot be taken back; you can make another.",
  keep: "Keep it",
  failed: "No connection. Try again.",
};

export function day(iso: string): string {
  return new Date(iso).toLocaleDateString("en", { dateStyle: "medium" });
}

export function failureLine(failure: Failure | undefined): string {
  return failure?.sentence ?? "";
}

/** What a running stage says of itself, as figures. */
export function figures(live: Record<string, Figure>): string[] {
  const said: string[] = [];
  const number = (name: string) => (typeof live[name] === "number" ? (live[name] as number) : null);
  const [left, photos, registered, gaussians, psnr] = ["seconds_left", "photos", "registered", "gaussians", "psnr"].map(number);
  if (left != null && left >= 1) said.push(`about ${duration(left)} left`);
  if (photos != null) said.push(`${whole(photos)} photos`);
  if (registered != null) said.push(`${whole(registered)} placed`);
  if (gaussians != null) said.push(`${whole(gaussians)} Gaussians`);
  if (psnr != null) said.push(`${psnr.toFixed(1)} dB`);
  return said;
}

export function percent(value: number): string {
  return `${Math.floor(value)} %`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

export function dollars(value: number): string {
  return value > 0 && value < 0.005 ? "under $0.01" : `$${value.toFixed(2)}`;
}

export function spent(job: Job): number {
  return Object.values(job.cost_usd).reduce((sum, value) => sum + value, 0);
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${at === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(value >= 9.95 ? 0 : 1)} ${units[at]}`;
}

export function duration(seconds: number): string {
  const rounded = Math.max(0, Math.round(seconds));
  if (rounded < 90) return `${rounded} s`;
  const minutes = Math.round(rounded / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

let relative: Intl.RelativeTimeFormat | null = null;
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** How long ago that was. */
export function age(iso: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (seconds > 30 * 86_400) return new Date(iso).toLocaleDateString("en", { dateStyle: "medium" });
  const [unit, size] = STEPS.find(([, length]) => seconds >= length) ?? ["minute", 60];
  if (seconds < 60) return "just now";
  relative ??= new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  return relative.format(-Math.floor(seconds / size), unit);
}

/** Have the browser load how English is written, 50 ms of a fast CPU, while an answer is awaited. */
export function prepareWords(): void {
  whole(0);
  age(new Date(0).toISOString(), 61_000);
}

export const DROP = {
  title: "Drop drone photos, a folder, a video or a zip",
  touch: "Choose drone photos, a video or a zip",
  files: "Choose files",
  folder: "Choose folder",
  hint: "They are turned into a 3D model that opens in a browser.",
  none: "None of these files is a photo, a video or a zip.",
};
export const TRAY = {
  contents: ({ isZip, photos, videos }: { isZip: boolean; photos: number; videos: number }) =>
    isZip ? "One zip" : [count(photos, "photo"), ...(videos ? [count(videos, "video")] : [])].join(", "),
  ignored: (n: number) => `${count(n, "file")} left out`,
  more: (n: number) => `and ${whole(n)} more`,
};
export const FLIGHT = {
  few: (n: number) => `${count(n, "photo")} are few: 20 or more, each overlapping the next by two thirds, make a good model.`,
  noGps: "These photos do not say where they were taken. The model will have no scale and no north.",
  mixed: (cameras: string[]) => `Photos of ${cameras.length} cameras: ${cameras.slice(0, 4).join(", ")}. That works if all show the same place.`,
  label: (n: number, width: number, height: number) =>
    `${count(n, "photo")} over ${whole(width)} × ${whole(height)} m`,
};
export const PRESETS = {
  title: "How much work",
  words: {
    draft: "A quick look.",
    standard: "For most flights.",
    high: "The most detail, and the longest wait.",
  } as Record<string, string>,
};
export const OPTIONS = {
  title: "All options",
  preset: "How much work",
  presets: { draft: "Draft", standard: "Standard", high: "High" } as Record<string, string>,
  changed: (n: number) => `${n} changed`,
  reset: "Reset",
  empty: "chosen from the device",
  groups: { "": "The job", sfm: "Place photos", train: "Train", compress: "Compress" } as Record<string, string>,
};
export const UPLOAD = {
  begin: "Make the model",
  committed: "The model is made as soon as all is there.",
  email: "Mail when it is done",
  optional: "may be left empty",
  cancel: "Cancel the upload",
  cancelTitle: "Cancel this upload?",
  cancelText: "What was sent is thrown away.",
  keep: "Keep uploading",
  beginning: "Beginning the upload",
  sending: "Uploading",
  sent: "All is uploaded",
  completing: "Starting the job",
  offline: "No connection. The upload goes on by itself.",
  stay: "Keep this page open until all is uploaded.",
  failed: "The upload has stopped.",
  again: "Go on",
  progress: (sent: number, all: number) => `${bytes(sent)} of ${bytes(all)}`,
  interrupted: (name: string, percentage: number, all: number) => `${name}: ${percent(percentage)} of ${bytes(all)} is there. Choose the same files to go on.`,
  interruptedTitle: "Interrupted uploads",
  forget: "Forget it",
  different: (paths: string[]) => `These are not the same files: ${paths.slice(0, 3).join(", ")}${paths.length > 3 ? ` and ${paths.length - 3} more` : ""} missing or changed.`,
  gone: "This upload is no longer there. Begin again.",
};

export function count(n: number, noun: string): string {
  return `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;
}

export const CONTROLS = {
  title: "Viewer",
  orbit: "Orbit",
  fly: "Fly",
  reset: "Reset",
  turn: "Turn over",
  flight: "Flight",
  smoother: "Smoother",
  sharper: "Sharper",
  picture: "Picture",
  full: "Full screen",
  tape: "Tape",
};

export const REPORT = {
  loading: "Loading the report",
  failed: "The report could not be loaded.",
  again: "Try again",
  date: (iso: string) => new Date(iso).toLocaleDateString("en", { dateStyle: "long" }),
  print: "Print or save as PDF",
  findings: "Findings",
  levels: { go: "Good to know", warn: "Warning", stop: "Grave" },
  registered: (n: number, of: number) => `${whole(n)} of ${count(of, "photo")} ${n === 1 ? "was" : "were"} placed.`,
  parts: (n: number, placed: number) =>
    `The photos fall into ${whole(n)} parts that share nothing. This model is of the largest, ${count(placed, "photo")}. If the others show another place, upload them by themselves; if not, photograph what lies between.`,
  lengths: (scale: number, metres: number | null, extent: number | null) =>
    `Lengths are in metres, to ± ${percents(scale)}${metres && extent ? ` (± ${metre(metres)} over ${metre(extent)})` : ""}.`,
  notMetric: (why: string) => `Lengths may not be called metres: ${why}${why.endsWith(".") ? "" : "."}`,
  trained: ({ gaussians, iterations, stopped_by }: { gaussians: number; iterations: number; stopped_by: string }) =>
    `The model has ${whole(gaussians)} Gaussians. Training took ${whole(iterations)} iterations and ended ${ENDS[stopped_by] ?? stopped_by}.`,
  quality: (heldOut: number | null, trained: number | null) =>
    heldOut !== null
      ? `Photos that training never saw are matched to ${decibels(heldOut)}${trained !== null ? `, those it saw to ${decibels(trained)}` : ""}.`
      : trained !== null ? `Photos are matched to ${decibels(trained)}; too few to keep some out of training.` : "",
  compressed: (size: number, ratio: number, psnr: number) =>
    `Compressed to ${bytes(size)}, ${ratio.toFixed(ratio < 9.95 ? 1 : 0)} times smaller, and as like the full model as ${decibels(psnr)}.`,
  levelsOfDetail: (levels: number, more: number, first: number) =>
    `Viewers stream it in ${levels} levels of detail (${bytes(more)} more in storage): the first ${bytes(first)} show all of it.`,
  heldOutLoss: ({ model, file, loss }: { model: number; file: number; loss: number }) =>
    `Photos that training never saw are matched to ${decibels(file)} by the compressed model and to ${decibels(model)} by the full one: compression costs ${loss >= 0.005 ? `${loss.toFixed(2)} dB` : "nothing"}.`,
  map: "Where the photos were taken",
  mapLabel: (counts: { placed: number; left: number; apart: number }) =>
    `Plan of the photos: ${whole(counts.placed)} placed, ${whole(counts.left)} left out, ${whole(counts.apart)} in another part. The table of photos says the same.`,
  mapHint: "Choose a mark to see its photo.",
  noScale: "Seen from above, in the model\u2019s own units.",
  nowhere: (n: number) => `${count(n, "photo")} without a place ${n === 1 ? "is" : "are"} in the table only.`,
  scale: (metres: number) => `${metres >= 1 ? whole(metres) : metres} m`,
  fates: { all: "All", placed: "Placed", left: "Left out", apart: "Another part" },
  placed: (points: number) => (points ? `Placed; sees ${count(points, "point")}.` : "Placed."),
  outlier: (why: string) => `Its position was not used: ${why}.`,
  photos: "Photos",
  photo: "Photo",
  filter: "Which photos",
  order: "Order",
  orders: { flown: "As they came", worst: "Worst first" },
  likeness: "Likeness",
  likenessHint: "How like its photo the model is, as PSNR from 10 to 40 dB: the longer, the better. Hatched: held out, so training never saw it. Not every photo is measured.",
  notMeasured: "not measured",
  heldOut: "held out",
  trainedOn: "trained on",
  stand: "Look from here",
  standAt: (name: string) => `Look from where ${name} was taken`,
  more: (n: number) => `And ${count(n, "photo")} more.`,
  strips: "Photo, model, difference",
  use: "Use",
  stripLabel: "Rows of three pictures: photo, model, difference",
  stripCaption: "From left to right: the photo, the model from the same place, and their difference four times as strong. Black is the same.",
  compressedLabel: "Three pictures: full model, compressed model, difference",
  compressedCaption: (psnr: number | null) =>
    `The full model, the compressed one, and their difference ten times as strong${psnr === null ? "" : `: ${decibels(psnr)} in the mean`}.`,
  seenFrom: "Seen from",
  views: "Views",
  mean: "Mean",
  worst: "Worst",
  kinds: {
    photo: "Where photos were taken", between: "Halfway from one photo to another", below: "Halfway down to what they show",
    orbit: "Around the model", near: "Near it", above: "Above it", inside: "Inside it",
  } as Record<string, string>,
  viewsHint: "How like the full model the compressed one looks, as PSNR: the higher, the better.",
  bytes: "Where the bytes go",
  bytesLabel: (all: string) => `Bar of ${all}, divided by attribute as in the table below`,
  attribute: "Attribute",
  size: "Size",
  share: "Share",
  sum: "All",
  perMillion: "By a million Gaussians",
  attributes: {
    means: "Positions", scales: "Sizes", quats: "Rotations", sh0_opacity: "Colour and opacity", shN_centroids: "Palette of view-dependent colour",
    shN_labels: "View-dependent colour", meta: "Description and zip",
  } as Record<string, string>,
  cost: "Time and cost",
  free: "Nothing is charged where the stages ran: a machine of your own.",
  stage: "Stage",
  time: "Time",
  paid: "Cost",
  estimate: "Estimate",
  against: "Against the estimate",
  costHint: "The bar is the cost, the line across it the estimate.",
};
const ENDS: Record<string, string> = {
  iterations: "as planned", plateau: "when more no longer helped", target_psnr: "at the likeness that was asked for",
  time: "when its time was up", budget: "when its budget was spent",
};

export function decibels(value: number): string {
  return `${value.toFixed(1)} dB`;
}

/** Of a whole; what is there is never called nothing. */
export function share(value: number): string {
  return value > 0 && value < 0.005 ? "under 1 %" : `${Math.round(value * 100)} %`;
}

function percents(value: number): string {
  return `${Number((value * 100).toPrecision(2))} %`;
}

function metre(value: number): string {
  return value < 0.995 ? `${whole(value * 100)} cm` : value < 9.95 ? `${value.toFixed(1)} m` : `${whole(value)} m`;
}

export function against(usd: number, estimate: number): string {
  if (!(estimate > 0) || !(usd > 0)) return "";
  const difference = Math.round((usd / estimate - 1) * 100);
  return difference === 0 ? "as estimated" : `${Math.abs(difference)} % ${difference < 0 ? "under" : "over"}`;
}

/** A clause of a stage's as a sentence: `it is blurred` becomes `It is blurred.` */
export function sentence(clause: string): string {
  const text = clause.trim();
  return text ? text[0]!.toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".") : "";
}

/** What is measured in the model. */
export const TAPE = {
  title: "Tape",
  none: "Click two points for a length, three or more for an area. By keyboard: Enter picks what is under the cross.",
  one: "Click the next point.",
  length: (figure: string) => `${figure} long`,
  total: (figure: string) => `${figure} in all`,
  area: (figure: string) => `${figure} enclosed`,
  missed: "Nothing of the model is there.",
  full: (n: number) => `A tape has at most ${whole(n)} points.`,
  undo: "Undo",
  clear: "Clear",
  picked: "A picked point is as exact as the model is sharp there.",
  unknownScale: "How exact the scale is, is not known.",
  whyNot: (reason: string | null) => `Nothing can be measured here. ${reason ?? "The model does not say how large it is."}`,
};

/** Metres with their uncertainty; never more digits than a point can be picked with. */
export function metres(figure: { value: number; uncertainty: number | null }): string {
  return `${exact(figure)} m`;
}

export function squareMetres(figure: { value: number; uncertainty: number | null }): string {
  return `${exact(figure)} m²`;
}

const FINEST = 0.001;

function exact({ value, uncertainty }: { value: number; uncertainty: number | null }): string {
  const error = uncertainty == null ? null : Math.max(uncertainty, FINEST);
  const step = error == null ? Math.max(value, 0) / 1000 : error;
  const digits = Math.min(3, Math.max(0, (error == null ? 0 : 1) - Math.floor(Math.log10(Math.max(step, FINEST)))));
  const write = (number: number) => number.toLocaleString("en", { minimumFractionDigits: Math.min(digits, 3), maximumFractionDigits: Math.min(digits, 3) });
  return error == null ? write(value) : `${write(value)} ± ${write(error)}`;
}
