/** *Report*: what the stages found, for the owner of a job. */
import { html } from "lit-html";
import type { JobAnswer } from "../api/types.ts";
import { stageRail } from "./stage_rail.ts";

export function reportTab({ job }: JobAnswer) {
  return html`<div class="column">${stageRail(job)}</div>`;
}
