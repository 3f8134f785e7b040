import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../src/api/client.ts";
import { pause, Poll, type Surroundings } from "../src/api/poll.ts";

/** A clock that is moved by hand. */
class Clock implements Surroundings {
  readonly waits: number[] = [];
  hidden = false;
  #run: (() => void) | null = null;

  setTimer(run: () => void, ms: number): unknown {
    this.#run = run;
    this.waits.push(ms);
    return this.waits.length;
  }

  clearTimer(): void {
    this.#run = null;
  }

  isHidden(): boolean {
    return this.hidden;
  }

  random(): number {
    return 0.5;
  }

  async ring(): Promise<void> {
    const run = this.#run;
    this.#run = null;
    run?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("pauses double with each failure, up to a minute, with a fifth of jitter", () => {
  assert.equal(pause(2000, 0, 0.5), 2000);
  assert.equal(pause(2000, 1, 0.5), 4000);
  assert.equal(pause(2000, 3, 0.5), 16000);
  assert.equal(pause(2000, 100, 0.5), 60000);
  assert.equal(pause(2000, 0, 0), 1600);
  assert.equal(pause(2000, 0, 1), 2400);
});

test("asks on until it is told that there is no more", async () => {
  const clock = new Clock();
  const answers: (number | null)[] = [2000, 5000, null];
  let asked = 0;
  const poll = new Poll(async () => answers[asked++] ?? null, 2000, clock);
  await poll.now();
  await clock.ring();
  await clock.ring();
  await clock.ring();
  assert.equal(asked, 3);
  assert.deepEqual(clock.waits, [2000, 5000]);
});

test("a refused call is made again later, and later still; then all is as before", async () => {
  const clock = new Clock();
  const outcomes = [new Error("offline"), new Error("offline"), new ApiError(429, "", "slow down", 30), null];
  const poll = new Poll(async () => {
    const outcome = outcomes.shift();
    if (outcome) throw outcome;
    return 2000;
  }, 2000, clock);
  await poll.now();
  for (let n = 0; n < 3; n++) await clock.ring();
  assert.deepEqual(clock.waits, [4000, 8000, 60000, 2000]);
});

test("nobody looks: nothing is asked until somebody does", async () => {
  const clock = new Clock();
  let asked = 0;
  const poll = new Poll(async () => {
    asked += 1;
    return 2000;
  }, 2000, clock);
  await poll.now();
  clock.hidden = true;
  await clock.ring();
  assert.equal(asked, 1);
  clock.hidden = false;
  await poll.now();
  assert.equal(asked, 2);
});

test("never two questions at once: one that comes meanwhile is asked afterwards", async () => {
  const clock = new Clock();
  const waiting: (() => void)[] = [];
  let asked = 0;
  const poll = new Poll(() => new Promise((resolve) => {
    asked += 1;
    waiting.push(() => resolve(2000));
  }), 2000, clock);
  const first = poll.now();
  void poll.now();
  void poll.now();
  assert.equal(asked, 1);
  waiting[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked, 2);
  waiting[1]?.();
  await first;
  poll.stop();
  await clock.ring();
  await poll.now();
  assert.equal(asked, 2);
});
