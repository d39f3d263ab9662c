import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ConflictError } from './errors.js';
import type { Store, StoredRecord } from './store.js';

/** The longest file that is read, which is far more than any record needs. */
const maxFile = 1 << 20;

/** A file that a dead process has left behind is removed after so long, in milliseconds. */
const leftover = 60_000;

/**
 * A store in a folder, for the processes of one machine. The folder holds one session, whose tokens are in the clear, in
 * files that are named by the version of the record. It must be on a local file system.
 *
 * A save writes a file of another name, with mode 0600, syncs it, and links it to the name of its version. That
 * fails if the version exists, so it is a compare-and-set without a lock: a process that dies at any point leaves
 * nothing behind that others wait for. Two versions are kept.
 *
 * The folder is made, with mode 0700, if it does not exist. One that belongs to somebody else, that others may enter, or
 * that is a symbolic link, is refused, and so is anything in it that is not a regular file.
 */
export class FileStore implements Store {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<StoredRecord> {
    await this.#enter();
    for (;;) {
      const version = await this.#newest();
      if (version === 0) return { version, data: '' };
      const data = await this.#read(String(version));
      if (data !== undefined) return { version, data }; // otherwise two others have saved meanwhile, and removed it
    }
  }

  async save({ version, data }: StoredRecord): Promise<void> {
    await this.#enter();
    if ((await this.#newest()) + 1 !== version) throw new ConflictError();
    const path = join(this.#folder, `new-${crypto.randomUUID()}`);
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      await finish(file, async () => {
        await file.writeFile(data);
        await file.sync();
      });
      await link(path, join(this.#folder, String(version)));
    } catch (error) {
      throw codeOf(error) === 'EEXIST' ? new ConflictError() : error;
    } finally {
      await unlink(path);
    }
    // A process that was stopped before the link may have revived a version that was removed since. Then there is one
    // that is newer by two.
    if ((await this.#newest()) > version + 1) throw new Error('others have saved meanwhile');
    await this.#sync();
    await this.#clean(version);
  }

  /** Makes the folder if it does not exist, and throws if others could read or replace what is in it. */
  async #enter(): Promise<void> {
    const made = await mkdir(this.#folder, { mode: 0o700 }).then(
      () => true,
      (error) => {
        if (codeOf(error) !== 'EEXIST') throw error;
        return false;
      },
    );
    if (made) return;
    const found = await lstat(this.#folder);
    if (!found.isDirectory()) throw new Error(`${this.#folder} is not a folder of its own: a link, or another file, has its name`);
    if (!process.getuid) return; // Windows has no modes: the folder inherits who may enter
    if (found.uid !== process.getuid()) throw new Error(`${this.#folder} belongs to another user`);
    if (found.mode & 0o077) throw new Error(`${this.#folder} must be closed to others: chmod 700 it`);
  }

  /** Returns the newest version, or 0. */
  async #newest(): Promise<number> {
    const names = await readdir(this.#folder);
    return Math.max(0, ...names.filter((name) => /^[1-9]\d{0,14}$/.test(name)).map(Number));
  }

  /** Returns what is in a file, or undefined if there is none. */
  async #read(name: string): Promise<string | undefined> {
    const path = join(this.#folder, name);
    let file: FileHandle;
    try {
      file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)); // Windows has neither
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw codeOf(error) === 'ELOOP' ? new Error(`${path} is a symbolic link`) : error;
    }
    return finish(file, async () => {
      const { size, ...found } = await file.stat();
      if ((found.mode & constants.S_IFMT) !== constants.S_IFREG) throw new Error(`${path} is not a regular file`);
      if (size > maxFile) throw new Error(`${path} is larger than ${maxFile} bytes`);
      return file.readFile('utf8');
    });
  }

  /** Writes the names in the folder to the disk. */
  async #sync(): Promise<void> {
    if (!process.getuid) return; // Windows opens no folders
    const folder = await open(this.#folder, constants.O_RDONLY);
    await finish(folder, () => folder.sync());
  }

  /** Removes the versions before the last one, and what dead processes have left. */
  async #clean(version: number): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      try {
        const isOld = /^\d+$/.test(name) && Number(name) < version - 1;
        if (isOld || (name.startsWith('new-') && Date.now() - (await lstat(path)).mtimeMs > leftover)) await unlink(path);
      } catch {} // another process has removed it, or the next save tries again
    }
  }
}

/** Runs work on a file, and closes it. */
async function finish<T>(file: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await file.close();
  }
}

const codeOf = (error: unknown): unknown => Object(error).code;
