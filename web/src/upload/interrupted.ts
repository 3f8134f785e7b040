/** Uploads that a reload or a crash has ended before all was there. */

import { ApiError, type Client } from "../api/client.ts";
import { forgetUpload, storedUploads, type UploadRecord } from "./resume.ts";

export interface InterruptedUpload {
  record: UploadRecord;
  /** Bytes that are there. */
  sent: number;
}

/** Those that this device remembers and the server has parts of, but the one under way; the others are forgotten. */
export async function interruptedUploads(client: Client, running: string | undefined): Promise<InterruptedUpload[]> {
  const records = await storedUploads(Date.now()).catch(() => []);
  const interrupted: InterruptedUpload[] = [];
  for (const record of records) {
    if (record.id === running) continue;
    try {
      const answer = await client.get<{ state: string; uploaded: { bytes: number }[] }>(`/uploads/${record.id}`);
      if (answer.state === "UPLOADING") interrupted.push({ record, sent: answer.uploaded.reduce((sum, part) => sum + part.bytes, 0) });
      else await forgetUpload(record.id);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) await forgetUpload(record.id);
    }
  }
  return interrupted;
}
