/** *Share*: links for people without a key. */
import { nothing } from "lit-html";
import type { Job } from "../api/types.ts";
import type { App, AppState } from "../app.ts";

export function shareTab(_app: App, _state: AppState, _job: Job): unknown {
  return nothing;
}
