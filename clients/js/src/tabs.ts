import type { Clock } from './clock.js';
import type { State } from './record.js';
import type { Store, StoredRecord } from './store.js';

/** How long a tab waits for another one's access token, in milliseconds. */
const askPatience = 200;

/** What tabs tell each other. */
type Message = { ask: string } | { id: string; token: string } | { changed: true };

/**
 * A store that keeps access tokens in the memory of the tabs. The store below it has the rest of the record, and in the
 * token's place an id. A tab that finds an id which it does not know asks the others.
 */
export class TabsStore implements Store {
  readonly #store: Store;
  readonly #channel: BroadcastChannel | undefined;
  readonly #clock: Clock;
  readonly #keepsTokens: boolean;
  readonly #tokens = new Map<string, string>();
  readonly #waiting = new Set<() => void>();

  /**
   * @param channel Reaches the other tabs; without one, each tab refreshes for itself.
   * @param keepsTokens Says whether the store below may have the access tokens too.
   * @param onChange Is called when another tab has saved.
   */
  constructor(store: Store, channel: BroadcastChannel | undefined, keepsTokens: boolean, clock: Clock, onChange: () => void) {
    this.#store = store;
    this.#channel = channel;
    this.#keepsTokens = keepsTokens;
    this.#clock = clock;
    channel?.addEventListener('message', ({ data }: MessageEvent<Message>) => {
      if ('changed' in data) onChange();
      else if ('ask' in data) this.#tell(data.ask);
      else this.#remember(data.id, data.token);
    });
  }

  async load(signal: AbortSignal): Promise<StoredRecord> {
    const record = await this.#store.load(signal);
    if (this.#keepsTokens || record.version === 0) return record;
    const state = JSON.parse(record.data) as State;
    const id = state.access_token;
    if (!id) this.#tokens.clear(); // nobody is logged in
    if (!id) return record;
    const isOver = state.expires_in !== undefined && Date.parse(state.obtained_at) + state.expires_in * 1000 <= this.#clock.now().wall;
    if (!this.#tokens.has(id) && !isOver) await this.#ask(id);
    const token = this.#tokens.get(id);
    if (token) state.access_token = token; // in the id's place, so that the record reads as it was saved
    else delete state.access_token;
    return { version: record.version, data: JSON.stringify(state) };
  }

  async save(record: StoredRecord, signal: AbortSignal): Promise<void> {
    let { data } = record;
    if (!this.#keepsTokens) {
      const state = JSON.parse(data) as State;
      if (state.access_token) {
        state.access_token = this.#idOf(state.access_token);
        data = JSON.stringify(state);
      }
    }
    await this.#store.save({ version: record.version, data }, signal);
    this.#channel?.postMessage({ changed: true });
  }

  /** Returns the id of an access token. If it is new, the other tabs get it. */
  #idOf(token: string): string {
    for (const [id, known] of this.#tokens) if (known === token) return id;
    const id = `in-memory:${Array.from(crypto.getRandomValues(new Uint32Array(4))).join('-')}`;
    this.#remember(id, token);
    this.#tell(id);
    return id;
  }

  #remember(id: string, token: string): void {
    this.#tokens.set(id, token);
    if (this.#tokens.size > 4) this.#tokens.delete(this.#tokens.keys().next().value!);
    for (const wake of this.#waiting) wake();
  }

  #tell(id: string): void {
    const token = this.#tokens.get(id);
    if (token) this.#channel?.postMessage({ id, token });
  }

  /** Asks the other tabs for a token, and waits a moment. */
  async #ask(id: string): Promise<void> {
    if (!this.#channel) return;
    const heard = new AbortController();
    const wake = () => this.#tokens.has(id) && heard.abort();
    this.#waiting.add(wake);
    this.#channel.postMessage({ ask: id });
    await this.#clock.sleep(askPatience, heard.signal);
    this.#waiting.delete(wake);
  }
}
