/** What there is to know about a job before it is used, as sentences: the gravest first. */
import { html, nothing } from "lit-html";
import { REPORT } from "../../words/en.ts";
import { countsOf, type PhotoRow } from "./rows.ts";
import type { Finding, ReportSource } from "./types.ts";

const GRAVITY: readonly Finding["level"][] = ["stop", "warn", "go"];
const MARKS: Record<Finding["level"], string> = { stop: "■", warn: "▲", go: "●" };

export function findingsOf({ parts }: ReportSource, rows: readonly PhotoRow[]): Finding[] {
  const { sfm, train, compress } = parts;
  const findings: Finding[] = [];
  const say = (level: Finding["level"], sentence: string | number | null | undefined | false) =>
    typeof sentence === "string" && sentence && findings.push({ level, sentence });
  if (sfm) {
    const { placed, left, apart } = countsOf(rows);
    say(left + apart ? "warn" : "go", REPORT.registered(placed, rows.length));
    say("warn", sfm.apart?.length && REPORT.parts(sfm.apart.length + 1, placed));
    const { metric, scale_uncertainty: scale, uncertainty_m: metres, extent_m: extent, metric_reason: why } = sfm.georeference ?? {};
    say("go", metric && scale && REPORT.lengths(scale, metres ?? null, extent ?? null));
    say("warn", !metric && why && REPORT.notMetric(why));
    for (const { level, sentence } of [...(sfm.findings ?? []), ...(sfm.capture?.findings ?? [])]) say(level, sentence);
    say("go", sfm.rolling_shutter?.advice);
  }
  if (train?.counts) say("go", REPORT.trained(train.counts));
  if (train?.quality) say("go", REPORT.quality(train.quality.psnr_held_out ?? null, train.quality.psnr_train ?? null));
  if (compress) {
    if (compress.sog_bytes && compress.ratio && compress.sog_psnr) say("go", REPORT.compressed(compress.sog_bytes, compress.ratio, compress.sog_psnr));
    const { lod_levels: levels, lod_bytes: parts, lod_meta_bytes: meta } = compress;
    if (levels && parts?.length && typeof meta === "number")
      say("go", REPORT.levelsOfDetail(levels, parts.reduce((a, b) => a + b, meta), meta + (parts.at(-1) ?? 0)));
    say("go", compress.held_out && REPORT.heldOutLoss(compress.held_out));
    for (const sentence of [compress.why_not, compress.missed, compress.lod_missed]) say("warn", sentence);
  }
  return findings.sort((a, b) => GRAVITY.indexOf(a.level) - GRAVITY.indexOf(b.level));
}

export function findingsList(findings: readonly Finding[]) {
  if (!findings.length) return nothing;
  return html`<section><h2>${REPORT.findings}</h2>
    <ul class="findings">
      ${findings.map(({ level, sentence }) => html`<li class=${level}><span class="mark" aria-hidden="true">${MARKS[level] ?? MARKS.go}</span>
        <span><span class="hidden">${REPORT.levels[level]}: </span>${sentence}</span></li>`)}
    </ul></section>`;
}
