/** One value that views are drawn from, and who wants to know that it has changed. */
export class Store<S extends object> {
  readonly #listeners = new Set<() => void>();

  constructor(private value: S) {}

  get state(): Readonly<S> {
    return this.value;
  }

  set(change: Partial<S>): void {
    this.value = { ...this.value, ...change };
    for (const listener of this.#listeners) listener();
  }

  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }
}
