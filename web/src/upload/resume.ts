/** What is kept of an upload over a reload or a crash: enough to ask for the same files and to send only what is missing. */

import type { Plan } from "./engine.ts";

export interface FileMark {
  path: string;
  size: number;
  modified: number;
}
export interface UploadRecord {
  id: string;
  name: string;
  plan: Plan;
  isZip: boolean;
  files: FileMark[];
  /** Checksums of the zip's entries, in its order, as far as they are known. */
  crcs: (number | null)[];
  createdAt: number;
}

const DATABASE = "spaceport";
const STORE = "uploads";
/** As long as the API keeps an upload that is not complete. */
export const KEPT_MS = 2 * 86_400_000;

/** The files in the record's order, or the paths of those that are missing or changed. A file may have moved to another folder. */
export function sameFiles<T extends FileMark>(record: UploadRecord, files: readonly T[]): { files: T[] } | { different: string[] } {
  const byPath = new Map(files.map((file) => [`${file.path}\n${mark(file)}`, file]));
  const byName = new Map<string, T[]>();
  for (const file of files) {
    const key = `${baseName(file.path)}\n${mark(file)}`;
    byName.set(key, [...(byName.get(key) ?? []), file]);
  }
  const matched = record.files.map((each) => {
    const namesakes = byName.get(`${baseName(each.path)}\n${mark(each)}`) ?? [];
    return byPath.get(`${each.path}\n${mark(each)}`) ?? (namesakes.length === 1 ? namesakes[0] : undefined);
  });
  const different = record.files.filter((_, n) => matched[n] === undefined).map((each) => each.path);
  return different.length ? { different } : { files: matched as T[] };
}

const mark = ({ size, modified }: FileMark) => `${size}\n${modified}`;
const baseName = (path: string) => path.slice(path.lastIndexOf("/") + 1);

export async function saveUpload(record: UploadRecord): Promise<void> {
  await request("readwrite", (store) => store.put(record));
}

export async function forgetUpload(id: string): Promise<void> {
  await request("readwrite", (store) => store.delete(id));
}

/** Those that may still be resumed, the newest first; older ones are forgotten. */
export async function storedUploads(now: number): Promise<UploadRecord[]> {
  const all = (await request("readonly", (store) => store.getAll())) as UploadRecord[];
  for (const old of all.filter((each) => now - each.createdAt > KEPT_MS)) await forgetUpload(old.id);
  return all.filter((each) => now - each.createdAt <= KEPT_MS).sort((a, b) => b.createdAt - a.createdAt);
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function request<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const asked = act(database.transaction(STORE, mode).objectStore(STORE));
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  } finally {
    database.close();
  }
}
