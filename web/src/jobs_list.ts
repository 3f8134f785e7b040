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

/** Less than the hour for which an address works. */
const PREVIEW_MS = 50 * 60_000;

/** Where pictures of models are. An address is kept as long as it works and the picture is the same: each answer signs
 * a new one, and a list that is asked for again, or through another filter, would load all its pictures again. */
export class Previews {
  readonly #known = new Map<string, { url: string; until: number; bytes: unknown }>();

  of({ job_id }: Job): string | null {
    return this.#known.get(job_id)?.url ?? null;
  }

  /** Take what an answer brings. */
  keep(jobs: readonly Job[], now: number): void {
    for (const job of jobs) {
      if (job.preview && this.#lacks(job, now)) this.#known.set(job.job_id, { url: job.preview, until: now + PREVIEW_MS, bytes: job.counts.thumb_bytes });
    }
  }

  /** The parameter of a query for jobs, where one of the known ones lacks its picture, or none is known yet. */
  query(known: readonly Job[] | undefined, now: number): string {
    return !known || known.slice(0, PAGE).some((job) => this.#lacks(job, now)) ? "&previews=true" : "";
  }

  #lacks({ job_id, counts }: Job, now: number): boolean {
    if (!("thumb_bytes" in counts)) return false;
    const known = this.#known.get(job_id);
    return !known || now >= known.until || known.bytes !== counts.thumb_bytes;
  }
}

/** The jobs of the first page, anew, with those below them: a job that has risen stands once, where it is now. */
export function renewed(first: readonly Job[], known: readonly Job[]): Job[] {
  const ids = new Set(first.map((job) => job.job_id));
  const lowest = first.at(-1)?.updated_at ?? "";
  return [...first, ...known.filter((job) => !ids.has(job.job_id) && job.updated_at <= lowest)];
}

/** The first page, and what is known of the others. */
export async function firstPage(client: Client, filter: Filter, known: Listed | null, previews: Previews): Promise<Listed> {
  const answer = await client.get<JobsAnswer>(`/jobs?limit=${PAGE}${QUERIES[filter]}${previews.query(known?.jobs, Date.now())}`);
  previews.keep(answer.jobs, Date.now());
  const isLonger = known !== null && known.jobs.length > answer.jobs.length && answer.cursor !== undefined;
  if (!isLonger) return { jobs: answer.jobs, cursor: answer.cursor ?? null };
  return { jobs: renewed(answer.jobs, known.jobs), cursor: known.cursor };
}

export async function nextPage(client: Client, filter: Filter, known: Listed, previews: Previews): Promise<Listed> {
  if (known.cursor === null) return known;
  const answer = await client.get<JobsAnswer>(`/jobs?limit=${PAGE}${QUERIES[filter]}&previews=true&cursor=${encodeURIComponent(known.cursor)}`);
  previews.keep(answer.jobs, Date.now());
  const ids = new Set(known.jobs.map((job) => job.job_id));
  return { jobs: [...known.jobs, ...answer.jobs.filter((job) => !ids.has(job.job_id))], cursor: answer.cursor ?? null };
}
