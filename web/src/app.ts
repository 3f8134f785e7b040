/** What the page knows and does; the views only show it. */

import { Access, clientOf } from "./access.ts";
import { ApiError, Offline, type Client } from "./api/client.ts";
import type { Config } from "./api/config.ts";
import { BROWSER, Poll } from "./api/poll.ts";
import { hasEnded, type Job, type JobAnswer, type LivePicture, type Score, type Stage } from "./api/types.ts";
import { deleteJob, goOn, stopJob } from "./job_actions.ts";
import { firstPage, nextPage, Previews, type Filter, type Listed } from "./jobs_list.ts";
import { storedTheme, type Theme } from "./parts/theme_switch.ts";
import { addressOf, asksForModel, routeOf, type Route, type Tab } from "./route.ts";
import { Store } from "./store.ts";
import type { Chosen } from "./upload/choose.ts";
import { interruptedUploads, type InterruptedUpload } from "./upload/interrupted.ts";
import type { UploadRecord } from "./upload/resume.ts";
import { Uploader, type UploadState } from "./upload/uploader.ts";
import { awaitEnd, isAwaited, tell } from "./tell.ts";
import { fetchModel, modelPath } from "./viewer/ahead.ts";
import { KEY, TELL } from "./words/en.ts";

export interface Trouble {
  sentence: string;
  isMissing: boolean;
}
export interface AppState {
  route: Route;
  client: Client | null;
  /** `used`: a link that signs in once has done so before, or is too old. */
  keyTrouble: "missing" | "refused" | "used" | null;
  isOffline: boolean;
  theme: Theme;
  /** The jobs that pass the filter, as far as they are shown. */
  listed: Listed | null;
  listedAt: string | null;
  filter: Filter;
  listTrouble: Trouble | null;
  answer: JobAnswer | null;
  /** When the answer arrived, in ISO 8601. */
  answeredAt: string | null;
  jobTrouble: Trouble | null;
  /** The last picture of the running training, with its address, and its curve: both stay while the model is compressed. */
  picture: LivePicture | null;
  series: Score[];
  /** Tabs of the job that have been shown: what is in them is kept, so that the model is not loaded again. */
  shownTabs: Tab[];
  upload: UploadState | null;
  interrupted: InterruptedUpload[];
  /** What the last upload held, for a job that it is refused for. */
  sentFiles: { id: string; paths: string[] } | null;
  dropTrouble: string | null;
  isActing: boolean;
  actionTrouble: string | null;
}

export const LIST_SECONDS = 15;
export const JOB_SECONDS = 2;
/** How long the row of a job may take to be there, after its upload is complete. */
const EXPECTED_MS = 60_000;
/** Between two questions while nobody looks and somebody waits for the end. */
const HIDDEN_MS = 15_000;

export class App {
  readonly store: Store<AppState>;
  readonly uploader: Uploader;
  readonly previews = new Previews();
  readonly access: Access;
  /** A job whose upload was completed just now, and that the API does not know yet. */
  #expected: { id: string; until: number } | null = null;
  #poll: Poll | null = null;

  constructor(config: Config, key: string | null) {
    this.store = new Store<AppState>({
      route: routeOf(location.search),
      client: key === null ? null : clientOf(config, key),
      keyTrouble: key === null ? "missing" : null,
      isOffline: false,
      theme: storedTheme(),
      listed: null, listedAt: null, filter: "all", listTrouble: null,
      answer: null, answeredAt: null, jobTrouble: null, picture: null, series: [], shownTabs: [],
      upload: null, interrupted: [], sentFiles: null, dropTrouble: null,
      isActing: false, actionTrouble: null,
    });
    this.access = new Access(config, this.store, {
      begin: () => {
        this.#show(this.store.state.route);
        void this.uploader.again();
      },
      pause: () => {
        this.#poll?.stop();
        this.uploader.pause(KEY.paused);
      },
      leave: () => {
        this.#poll?.stop();
        this.go({ page: "home" });
      },
    });
    this.uploader = new Uploader({
      client: () => this.store.state.client,
      get: () => this.store.state.upload,
      set: (upload) => this.store.set({ upload }),
      onJob: (id, _name, paths) => {
        this.store.set({ sentFiles: { id, paths } });
        this.#expected = { id, until: Date.now() + EXPECTED_MS };
        if (this.store.state.route.page === "new") this.go({ page: "job", id });
        else void this.#poll?.now();
      },
      onKeyRefused: () => this.access.refuse(),
    });
  }

  start(): void {
    addEventListener("popstate", () => this.#show(routeOf(location.search)));
    addEventListener("online", () => void this.#poll?.now());
    addEventListener("hashchange", () => void this.access.followLink());
    document.addEventListener("visibilitychange", () => void this.#poll?.now());
    this.#show(this.store.state.route);
  }

  go(route: Route): void {
    history.pushState(null, "", addressOf(route));
    this.#show(route);
    scrollTo(0, 0);
  }

  /** Show another tab of the job that is on the page. The way back leads to where one came from, not along the tabs. */
  showTab(tab: Tab, before: Tab): void {
    const { route, shownTabs } = this.store.state;
    if (route.page !== "job") return;
    const next: Route = { page: "job", id: route.id, tab };
    history.replaceState(null, "", addressOf(next));
    this.store.set({ route: next, shownTabs: [...new Set([...shownTabs, before, tab])] });
  }

  /** Begin an upload with what was dropped, or go on with one of which parts are there. */
  async take(dropped: Promise<Chosen[]>, record: UploadRecord | null = null): Promise<void> {
    if (this.store.state.upload) return this.go({ page: "new" });
    this.store.set({ dropTrouble: null });
    const files = await dropped.catch(() => []);
    const begun = record ? this.uploader.resume(record, files) : this.uploader.begin(files);
    if (this.store.state.upload) this.go({ page: "new" });
    this.store.set({ dropTrouble: await begun });
  }

  async forgetUpload(id: string): Promise<void> {
    this.store.set({ interrupted: this.store.state.interrupted.filter(({ record }) => record.id !== id) });
    await this.uploader.discard(id);
  }

  /** Go where a link within the page leads. */
  follow(search: string): void {
    this.go(routeOf(search));
  }

  filter(filter: Filter): void {
    this.store.set({ filter, listed: null, listTrouble: null });
    void this.#poll?.now();
  }

  async showMore(): Promise<void> {
    const { listed, filter } = this.store.state;
    if (!listed) return;
    await this.#act(async (client) => {
      const longer = await nextPage(client, filter, listed, this.previews);
      if (this.store.state.filter === filter) this.store.set({ listed: longer });
    });
  }

  setTheme(theme: Theme): void {
    this.store.set({ theme });
  }

  async stop(job: Job): Promise<void> {
    await this.#act((client) => stopJob(client, job));
  }

  async goOn(answer: JobAnswer, stage: Stage): Promise<void> {
    await this.#act(async (client) => {
      const id = await goOn(client, answer, stage);
      if (id) this.go({ page: "job", id });
    });
  }

  async remove(job: Job): Promise<void> {
    await this.#act(async (client) => {
      if (await deleteJob(client, job)) this.go({ page: "home" });
    });
  }

  /** Notify when the job has ended. */
  async tellMe(job: Job): Promise<void> {
    const isWilling = await awaitEnd(job.job_id);
    this.store.set({ actionTrouble: isWilling ? null : TELL.refused });
  }

  async #act(action: (client: Client) => Promise<unknown>): Promise<void> {
    const { client, isActing } = this.store.state;
    if (!client || isActing) return;
    this.store.set({ isActing: true, actionTrouble: null });
    try {
      await action(client);
    } catch (error) {
      if (error instanceof ApiError && error.isKeyRefused) this.access.refuse();
      else this.store.set({ actionTrouble: sentenceOf(error) });
    }
    this.store.set({ isActing: false });
    void this.#poll?.now();
  }

  #show(route: Route): void {
    const before = this.store.state.route;
    const isSame = before.page === "job" && route.page === "job" && before.id === route.id;
    this.store.set({ route, ...(isSame ? {} : { answer: null, answeredAt: null, jobTrouble: null, picture: null, series: [], actionTrouble: null, shownTabs: [] }) });
    this.#poll?.stop();
    const { client } = this.store.state;
    if (!client) return;
    if (route.page === "job" && !this.store.state.answer && this.#mayHaveModel(route)) fetchModel(client, modelPath(route.id));
    if (route.page === "home") void interruptedUploads(client, this.store.state.upload?.record?.id).then((interrupted) => this.store.set({ interrupted }));
    this.#poll = new Poll(
      route.page === "job" ? () => this.#askJob(route.id) : () => this.#askJobs(),
      (route.page === "job" ? JOB_SECONDS : LIST_SECONDS) * 1000,
      { ...BROWSER, isHidden: () => BROWSER.isHidden() && !(route.page === "job" && isAwaited(route.id)) },
    );
    void this.#poll.now();
  }

  /** Of a job of the list it is known whether it has a model. */
  #mayHaveModel(route: Route & { page: "job" }): boolean {
    const state = this.store.state.listed?.jobs.find(({ job_id }) => job_id === route.id)?.state ?? "COMPLETED";
    return asksForModel(route) && state === "COMPLETED";
  }

  async #askJobs(): Promise<number> {
    const { filter } = this.store.state;
    try {
      const listed = await firstPage(this.#client(), filter, this.store.state.listed, this.previews);
      if (this.store.state.filter !== filter) return LIST_SECONDS * 1000; // it is asked for anew
      this.store.set({ listed, listedAt: new Date().toISOString(), listTrouble: null, isOffline: false });
    } catch (error) {
      this.#note(error, (listTrouble) => ({ listTrouble }));
      throw error;
    }
    return LIST_SECONDS * 1000;
  }

  async #askJob(id: string): Promise<number | null> {
    try {
      const seen = this.store.state.picture?.at;
      const query = seen ? `?live=${encodeURIComponent(seen)}` : "";
      const answer = await this.#client().get<JobAnswer>(`/jobs/${encodeURIComponent(id)}${query}`);
      const { route, picture, series } = this.store.state;
      if (route.page !== "job" || route.id !== id) return null; // somebody has gone on
      const newer = answer.live?.url && answer.live.at !== picture?.at ? answer.live : picture;
      this.store.set({ answer, picture: newer, series: answer.series ?? series, answeredAt: new Date().toISOString(), jobTrouble: null, isOffline: false });
      tell(answer.job);
      if (hasEnded(answer.job)) return null;
      return BROWSER.isHidden() ? HIDDEN_MS : (answer.poll_seconds ?? JOB_SECONDS) * 1000;
    } catch (error) {
      const isExpected = this.#expected?.id === id && Date.now() < this.#expected.until;
      if (isExpected && error instanceof ApiError && error.status === 404) return JOB_SECONDS * 1000;
      this.#note(error, (jobTrouble) => ({ jobTrouble }));
      if (error instanceof ApiError && !error.isPassing) return null;
      throw error;
    }
  }

  #client(): Client {
    const { client } = this.store.state;
    if (!client) throw new Offline("no key");
    return client;
  }

  #note(error: unknown, change: (trouble: Trouble) => Partial<AppState>): void {
    if (error instanceof ApiError && error.isKeyRefused) this.access.refuse(); // what is there stays, behind the question
    else if (error instanceof Offline) this.store.set({ isOffline: true });
    else this.store.set(change({ sentence: sentenceOf(error), isMissing: error instanceof ApiError && error.status === 404 }));
  }

}

/** From which stage an ended job can go on: the first that is not finished. */
export function nextStage({ job, retry_from = [] }: JobAnswer): Stage | null {
  if (job.state === "REJECTED" || job.state === "COMPLETED" || !hasEnded(job)) return null;
  if (job.state === "COMPLETED_DEGRADED") return retry_from.includes("compress") ? "compress" : null;
  return retry_from.filter((stage) => !job.outputs[stage]).at(-1) ?? null;
}

export function sentenceOf(error: unknown): string {
  return error instanceof ApiError ? error.message : error instanceof Offline ? "No connection." : `Something went wrong: ${String(error)}`;
}
