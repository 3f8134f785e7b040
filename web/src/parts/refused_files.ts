/** An upload that could not be used: which of its files is to blame, where the sentence names one. */
import { html, nothing } from "lit-html";
import type { Job } from "../api/types.ts";
import { REJECTED } from "../words/en.ts";

const NAMED = /\(([^()]{1,255}\.[A-Za-z0-9]{1,5})\)|The file (\S{1,255}\.[A-Za-z0-9]{1,5})/; // as SENTENCES of spaceport/pipeline/errors.py

/** The file that a sentence names. */
export function guiltyFile(sentence: string): string | null {
  const match = NAMED.exec(sentence);
  return match?.[1] ?? match?.[2] ?? null;
}

/** The sentence with that file marked. */
export function refusedSentence(sentence: string) {
  const file = guiltyFile(sentence);
  if (!file) return html`${sentence}`;
  const at = sentence.indexOf(file);
  return html`${sentence.slice(0, at)}<mark>${file}</mark>${sentence.slice(at + file.length)}`;
}

/** The files of the upload, if this tab has sent it, the guilty one first. */
export function refusedFiles(job: Job, sent: { id: string; paths: readonly string[] } | null) {
  const guilty = guiltyFile(job.failure?.sentence ?? "");
  const paths = sent?.id === job.job_id ? sent.paths : [];
  const name = paths.find((path) => path === guilty || path.endsWith(`/${guilty}`)) ?? guilty;
  if (!name) return nothing;
  const others = paths.filter((path) => path !== name).length;
  return html`<h2>${REJECTED.title}</h2>
    <ul class="refused"><li class="bad"><span aria-hidden="true">✕</span> <strong>${name}</strong> ${REJECTED.guilty}</li>
    ${others ? html`<li class="muted">${REJECTED.others(others)}</li>` : nothing}</ul>`;
}
