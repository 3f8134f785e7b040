/** *Tell me*: a notification of the system when a job has ended. Asked for by a click, and kept until the tab is closed. */

import { hasEnded, type Job } from "./api/types.ts";
import { HEADLINES } from "./words/en.ts";

const NAME = "spaceport-tell";

export function isAwaited(id: string): boolean {
  return awaitedIds().includes(id);
}

/** Ask the person whether this page may notify. False where it may not, or cannot. */
export async function awaitEnd(id: string): Promise<boolean> {
  if (typeof Notification === "undefined" || (await Notification.requestPermission()) !== "granted") return false;
  sessionStorage.setItem(NAME, JSON.stringify([...awaitedIds(), id].slice(-50)));
  return true;
}

/** Notify, once, if the job has ended and somebody wants to know. */
export function tell(job: Job): void {
  if (!hasEnded(job) || !isAwaited(job.job_id)) return;
  sessionStorage.setItem(NAME, JSON.stringify(awaitedIds().filter((id) => id !== job.job_id)));
  try {
    const notification = new Notification(job.name, { body: HEADLINES[job.state], tag: job.job_id });
    notification.onclick = () => {
      focus();
      notification.close();
    };
  } catch {
    // a phone's browser notifies only through a service worker: the page itself says it
  }
}

function awaitedIds(): string[] {
  try {
    const ids: unknown = JSON.parse(sessionStorage.getItem(NAME) ?? "[]");
    return Array.isArray(ids) ? ids.map(String) : [];
  } catch {
    return [];
  }
}
