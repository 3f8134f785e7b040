/** When to ask again: evenly while all is well, more and more rarely while it is not, and never while nobody looks. */

import { ApiError } from "./client.ts";

const MAX_MS = 60_000;
const JITTER = 0.2;

/**
 * Milliseconds until the next question.
 * @param base milliseconds while all is well
 * @param failures in a row so far; each doubles the wait
 * @param random from 0 to 1, so that many pages do not ask at once
 */
export function pause(base: number, failures: number, random: number): number {
  const wait = Math.min(base * 2 ** Math.min(failures, 10), Math.max(MAX_MS, base));
  return wait * (1 + JITTER * (2 * random - 1));
}

export interface Surroundings {
  setTimer(run: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
  isHidden(): boolean;
  random(): number;
}

export const BROWSER: Surroundings = {
  setTimer: (run, ms) => setTimeout(run, ms),
  clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  isHidden: () => document.visibilityState === "hidden",
  random: Math.random,
};

/** Asks again and again, one question at a time, until it is stopped. */
export class Poll {
  #timer: unknown = null;
  #failures = 0;
  #isAsking = false;
  #isStopped = false;
  #isDue = false;

  /** @param ask returns the milliseconds until it wants to ask again, or null if never; what it throws counts as a failure */
  constructor(
    private readonly ask: () => Promise<number | null>,
    private readonly base: number,
    private readonly around: Surroundings = BROWSER,
  ) {}

  /** Ask now; called at the start, when somebody looks again, when the connection is back, and after an action. */
  async now(): Promise<void> {
    this.#cancel();
    if (this.#isStopped || this.around.isHidden()) return;
    if (this.#isAsking) {
      this.#isDue = true;
      return;
    }
    this.#isAsking = true;
    let wait: number | null = this.base;
    try {
      wait = await this.ask();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      if (error instanceof ApiError && error.retryAfter !== null) wait = Math.max(this.base, error.retryAfter * 1000);
    }
    this.#isAsking = false;
    if (this.#isDue) {
      this.#isDue = false;
      return this.now();
    }
    if (this.#isStopped || wait === null) return;
    this.#timer = this.around.setTimer(() => void this.now(), pause(wait, this.#failures, this.around.random()));
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #cancel(): void {
    if (this.#timer !== null) this.around.clearTimer(this.#timer);
    this.#timer = null;
  }
}
