/** The list of jobs: which of them, page by page, asked for again and again. */

import type { Client } from "./api/client.ts";
import type { Job, JobsAnswer } from "./api/types.ts";
import type { FILTERS } from "./words/en.ts";

export type Filter = keyof typeof FILTERS;
export const PAGE = 30;

const QUERIES: Record<Filter, string> = {
  all: "",
  mine: "&owner=me",
  running: "&state=RECEIVED,SFM,TRAINING,COMPRESSING",
  ready: "&state=COMPLETED,COMPLETED_DEGRADED",
  failed: "&state=FAILED,REJECTED",
};

export interface Listed {
  jobs: Job[];
  /** Where the list goes on; null at its end. */
  cursor: string | null;
}

/** The jobs of the first page, anew, with those below them: a job that has risen stands once, where it is now. */
export function renewed(first: readonly Job[], known: readonly Job[]): Job[] {
  const ids = new Set(first.map((job) => job.job_id));
  const lowest = first.at(-1)?.updated_at ?? "";
  return [...first, ...known.filter((job) => !ids.has(job.job_id) && job.updated_at <= lowest)];
}

/** The first page, and what is known of the others. */
export async function firstPage(client: Client, filter: Filter, known: Listed | null): Promise<Listed> {
  const answer = await client.get<JobsAnswer>(`/jobs?limit=${PAGE}${QUERIES[filter]}`);
  const isLonger = known !== null && known.jobs.length > answer.jobs.length && answer.cursor !== undefined;
  if (!isLonger) return { jobs: answer.jobs, cursor: answer.cursor ?? null };
  return { jobs: renewed(answer.jobs, known.jobs), cursor: known.cursor };
}

export async function nextPage(client: Client, filter: Filter, known: Listed): Promise<Listed> {
  if (known.cursor === null) return known;
  const answer = await client.get<JobsAnswer>(`/jobs?limit=${PAGE}${QUERIES[filter]}&cursor=${encodeURIComponent(known.cursor)}`);
  const ids = new Set(known.jobs.map((job) => job.job_id));
  return { jobs: [...known.jobs, ...answer.jobs.filter((job) => !ids.has(job.job_id))], cursor: answer.cursor ?? null };
}
