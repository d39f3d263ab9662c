// What the documentation says of a comparison.
import { readFile } from 'node:fs/promises';

/** Returns the fates in the table of a page, or of a section, without what stands behind a colon. */
export async function table(page, section) {
  const text = await readFile(new URL(`../../../../docs/${page}`, import.meta.url), 'utf8');
  const part = section ? text.split(`\n## ${section}\n`)[1].split('\n## ')[0] : text;
  const lines = part.split('\n').filter((line) => /^\|.*\| (lives|dies)/.test(line));
  return Object.fromEntries(lines.map((line) => {
    const [name, ...cells] = line.split('|').slice(1, -1).map((cell) => cell.trim());
    return [name, cells.map((cell) => cell.split(':')[0])];
  }));
}
