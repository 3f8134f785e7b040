/** What a person does to a job: stop it, go on from one of its stages, delete it. Each is asked about first. */

import type { Client } from "./api/client.ts";
import { changesFrom, optionsOf } from "./api/schema.ts";
import type { Job, JobAnswer, OptionsAnswer, Stage } from "./api/types.ts";
import { confirmed } from "./parts/confirm.ts";
import { DELETE, dollars, spent, STOP } from "./words/en.ts";

export async function stopJob(client: Client, job: Job): Promise<boolean> {
  const text = STOP.text(job, spent(job) ? dollars(spent(job)) : null);
  if (!(await confirmed({ title: STOP.title(job.name), text, keep: STOP.keep, confirm: STOP.confirm }))) return false;
  await client.post(`/jobs/${job.job_id}/stop`);
  return true;
}

/** Returns the id of the job that goes on; null where nobody wants it. */
export async function goOn(client: Client, { job, retry_from, options }: JobAnswer, stage: Stage): Promise<string | null> {
  const [schema, { askRetry }] = await Promise.all([client.get<OptionsAnswer>("/options"), import("./parts/retry_dialog.ts")]);
  const before = changesFrom(schema, options ?? {});
  const wanted = await askRetry({ job, schema, stages: retry_from ?? [], stage, ...before });
  if (!wanted) return null;
  const [same, changed] = [optionsOf(before.preset, before.changes), optionsOf(wanted.preset, wanted.changes)];
  const isSame = JSON.stringify(same) === JSON.stringify(changed);
  const body = { from: wanted.stage, jobId: continuationId(job.job_id), ...(isSame ? {} : { options: changed }) };
  return (await client.post<{ jobId: string }>(`/jobs/${job.job_id}/retry`, body)).jobId;
}

export async function deleteJob(client: Client, job: Job): Promise<boolean> {
  const { title, text, keep, confirm } = DELETE;
  if (!(await confirmed({ title: title(job.name), text: text(job), keep, confirm }))) return false;
  await client.delete(`/jobs/${job.job_id}`);
  return true;
}

/** An id of its own for a job that goes on, so that the same call again is the same job. */
function continuationId(id: string): string {
  const random = crypto.getRandomValues(new Uint8Array(4));
  return `${id.replace(/-r[0-9a-f]{1,8}$/, "").slice(0, 52)}-r${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
