/** An upload from the drop to the job: what is kept of it, who sends it, and what the person still chooses meanwhile. */

import { ApiError, type Client } from "../api/client.ts";
import { optionsOf, type Changes } from "../api/schema.ts";
import type { OptionsAnswer } from "../api/types.ts";
import type { Estimate } from "../parts/preset_cards.ts";
import { DROP, UPLOAD } from "../words/en.ts";
import { choose, nameOf, type Choice, type Chosen } from "./choose.ts";
import type { Plan } from "./engine.ts";
import { HEAD_BYTES, readExif, type Exif } from "./exif.ts";
import type { FromWorker, Start } from "./messages.ts";
import { forgetUpload, sameFiles, saveUpload, type UploadRecord } from "./resume.ts";
import { layOut } from "./virtual_zip.ts";

declare const WORKER_FILE: string;

export interface UploadState {
  phase: "beginning" | "sending" | "sent" | "completing" | "stopped";
  choice: Choice;
  name: string;
  record: UploadRecord | null;
  bytes: number;
  sent: number;
  isOffline: boolean;
  trouble: string | null;
  /** Whether the job is to begin as soon as all is there. */
  isCommitted: boolean;
  exif: (Exif | null)[];
  email: string;
  preset: string;
  changes: Changes;
  answer: OptionsAnswer | null;
  estimates: Record<string, Estimate>;
}
export interface Surface {
  client(): Client | null;
  get(): UploadState | null;
  set(state: UploadState | null): void;
  /** Called when an upload has become a job. */
  onJob(id: string, name: string, paths: string[]): void;
  onKeyRefused(): void;
}

const EXIF_EVERY = 40;
const MAX_EXIF = 5000;
const SAVE_MS = 1000;

export class Uploader {
  #worker: Worker | null = null;
  #lock: WakeLockSentinel | null = null;
  #saving: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly surface: Surface) {
    addEventListener("beforeunload", (event) => {
      if (this.#worker) event.preventDefault();
    });
    addEventListener("online", () => this.#worker?.postMessage({ kind: "online" }));
  }

  /** Begin with what was dropped. Returns why it cannot be used, or null. */
  async begin(dropped: readonly Chosen[]): Promise<string | null> {
    const choice = choose(dropped);
    if (!choice.files.length) return DROP.none;
    const bytes = choice.isZip ? choice.bytes : layOut(marks(choice.files)).layout.bytes;
    this.surface.set({
      phase: "beginning", choice, name: nameOf(choice, new Date()).slice(0, 200), record: null, bytes, sent: 0, isOffline: false,
      trouble: null, isCommitted: false, exif: [], email: "", preset: "standard", changes: new Map(), answer: null, estimates: {},
    });
    void this.#readExif(choice);
    void this.#readOptions();
    await this.#create();
    return null;
  }

  /** Go on with an upload of which parts are there. Returns why the files cannot be used, or null. */
  resume(record: UploadRecord, dropped: readonly Chosen[]): string | null {
    const candidates = dropped.map(({ path, file }) => ({ path, file, size: file.size, modified: file.lastModified }));
    const same = sameFiles(record, candidates);
    if ("different" in same) return UPLOAD.different(same.different);
    const files = same.files.map(({ file }, n) => ({ file, path: record.files[n]?.path ?? file.name }));
    const choice = choose(files);
    this.surface.set({
      phase: "sending", choice: { ...choice, files, isZip: record.isZip }, name: record.name, record, bytes: record.plan.bytes, sent: 0,
      isOffline: false, trouble: null, isCommitted: false, exif: [], email: "", preset: "standard", changes: new Map(), answer: null, estimates: {},
    });
    void this.#readExif(choice);
    void this.#readOptions();
    this.#send();
    return null;
  }

  /** After a stop: send what is missing. */
  async again(): Promise<void> {
    const state = this.surface.get();
    if (state?.phase !== "stopped") return;
    this.#change({ trouble: null });
    if (!state.record) await this.#create();
    else if (state.sent === state.bytes && state.isCommitted) await this.#complete();
    else this.#send();
  }

  /** Hold on, for a reason that is said, until `again`. */
  pause(reason: string): void {
    const phase = this.surface.get()?.phase;
    if (phase !== "beginning" && phase !== "sending") return;
    this.#end();
    this.#change({ phase: "stopped", trouble: reason });
  }

  change(change: Partial<Pick<UploadState, "email" | "preset" | "changes">>): void {
    this.#change(change);
  }

  /** The job is wanted with what is chosen now, as soon as all is there. */
  async commit(): Promise<void> {
    const state = this.surface.get();
    this.#change({ isCommitted: true, trouble: null });
    if (state?.phase === "sent" || (state?.phase === "stopped" && state.record && state.sent === state.bytes)) await this.#complete();
  }

  async cancel(): Promise<void> {
    const id = this.surface.get()?.record?.id;
    this.#end();
    this.surface.set(null);
    if (id) await this.discard(id);
  }

  /** Throw away what is there of an upload. */
  async discard(id: string): Promise<void> {
    await forgetUpload(id);
    await this.surface.client()?.delete(`/uploads/${id}`).catch(() => undefined); // it ends by itself after two days
  }

  async #create(): Promise<void> {
    const state = this.surface.get();
    const client = this.surface.client();
    if (!state || !client) return;
    this.#change({ phase: "beginning" });
    try {
      const answer = await client.post<{ jobId: string; partBytes: number; parts: number }>("/uploads", { name: state.name, bytes: state.bytes, multipart: true });
      const plan: Plan = { id: answer.jobId, bytes: state.bytes, partBytes: answer.partBytes, parts: answer.parts };
      const { choice, name } = state;
      const crcs = choice.isZip ? [] : choice.files.map(() => null);
      const record = { id: plan.id, name, plan, isZip: choice.isZip, files: marks(choice.files), crcs, createdAt: Date.now() };
      await saveUpload(record).catch(() => undefined); // a private window: not resumable, and no reason to stop
      this.#change({ record });
      this.#send();
    } catch (error) {
      this.#stop(error);
    }
  }

  #send(): void {
    const state = this.surface.get();
    const client = this.surface.client();
    if (!state?.record || !client?.key) return;
    this.#end();
    this.#change({ phase: "sending" });
    const { record, choice } = state;
    const worker = new Worker(new URL(WORKER_FILE, import.meta.url), { type: "module" });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#hear(record, data);
    worker.onerror = () => this.#stop(new Error("The browser has ended the upload."));
    const start: Start = {
      kind: "start", api: client.base, key: client.key, plan: record.plan, crcs: record.crcs,
      files: choice.files.map((each) => each.file), paths: record.isZip ? null : choice.files.map((each) => each.path),
    };
    worker.postMessage(start);
    void navigator.wakeLock?.request("screen").then((lock) => (this.#lock = lock), () => undefined);
  }

  #hear(record: UploadRecord, message: FromWorker): void {
    switch (message.kind) {
      case "progress":
        return this.#change({ sent: message.sent, isOffline: false });
      case "waiting":
        return this.#change({ isOffline: message.isOffline });
      case "crc":
        record.crcs[message.entry] = message.crc;
        this.#saving ??= setTimeout(() => {
          this.#saving = null;
          if (this.surface.get()?.record?.id === record.id) void saveUpload(record).catch(() => undefined);
        }, SAVE_MS);
        return;
      case "done":
        this.#end();
        this.#change({ phase: "sent", sent: record.plan.bytes, isOffline: false });
        if (this.surface.get()?.isCommitted) void this.#complete();
        return;
      case "failed":
        this.#end();
        if (message.isGone) void forgetUpload(record.id);
        this.#change({ phase: "stopped", trouble: message.isGone ? UPLOAD.gone : message.sentence, ...(message.isGone ? { record: null, sent: 0 } : {}) });
        if (message.isKeyRefused) this.surface.onKeyRefused();
    }
  }

  async #complete(): Promise<void> {
    const state = this.surface.get();
    const client = this.surface.client();
    if (!state?.record || !client) return;
    const { id, name } = state.record;
    this.#change({ phase: "completing" });
    const body = { options: optionsOf(state.preset, state.changes), ...(state.email.trim() ? { email: state.email.trim() } : {}) };
    try {
      await client.post(`/uploads/${id}/complete`, body);
    } catch (error) {
      const isMissing = error instanceof ApiError && error.slug === "parts_missing";
      if (isMissing) return this.#send(); // S3 has lost a part, or another tab has begun anew
      this.#stop(error);
      return this.#change({ isCommitted: false });
    }
    await forgetUpload(id).catch(() => undefined);
    this.surface.set(null);
    this.surface.onJob(id, name, state.choice.files.map(({ path }) => path));
  }

  #stop(error: unknown): void {
    this.#end();
    this.#change({ phase: "stopped", trouble: error instanceof ApiError ? error.message : error instanceof Error && error.message ? error.message : UPLOAD.failed });
    if (error instanceof ApiError && error.isKeyRefused) this.surface.onKeyRefused();
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
    void this.#lock?.release();
    this.#lock = null;
  }

  #change(change: Partial<UploadState>): void {
    const state = this.surface.get();
    if (state) this.surface.set({ ...state, ...change });
  }

  async #readExif(choice: Choice): Promise<void> {
    const jpegs = choice.isZip ? [] : choice.files.filter(({ path }) => /\.jpe?g$/i.test(path)).slice(0, MAX_EXIF);
    const read: (Exif | null)[] = [];
    for (const { file } of jpegs) {
      read.push(await file.slice(0, HEAD_BYTES).arrayBuffer().then(readExif, () => null));
      if (this.surface.get()?.choice.files[0]?.file !== choice.files[0]?.file) return;
      if (read.length % EXIF_EVERY === 0 || read.length === jpegs.length) this.#change({ exif: [...read] });
    }
  }

  async #readOptions(): Promise<void> {
    const client = this.surface.client();
    const answer = await client?.get<OptionsAnswer>("/options").catch(() => null);
    if (answer) this.#change({ answer });
    const photos = this.surface.get()?.choice.photos ?? 0;
    for (const preset of photos ? Object.keys(answer?.presets ?? {}) : []) {
      const estimate = await client?.post<Estimate>("/estimate", { photos, options: { preset } }).catch(() => null); // an older server has none
      const { estimates } = this.surface.get() ?? {};
      if (estimate && estimates) this.#change({ estimates: { ...estimates, [preset]: estimate } });
    }
  }
}

function marks(files: readonly Chosen[]): UploadRecord["files"] {
  return files.map(({ path, file }) => ({ path, size: file.size, modified: file.lastModified }));
}
