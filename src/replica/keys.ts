// Keys of a replica: which are allowed, and the one order in which every client lists them.

import { LitestreamError } from '../errors.js'

/** Ascending order of the UTF-8 bytes, which is not the order of JavaScript's `<` (UTF-16) outside of the basic plane. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)]
    if (x !== y) return rankOf(x) - rankOf(y)
  }
  return a.length - b.length
}

/** Surrogates stand for what comes behind the basic plane. */
function rankOf(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit
}

/** Throws when `key` could name something outside of the replica, or nothing. A mistake in this program, not in its input. */
export function checkKey(key: string): void {
  if (key === '' || key.includes('\0') || key.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw new LitestreamError('STORAGE', `"${key}" is not a usable object key; this is a bug, please report it`, {
      kind: 'bug',
    })
  }
}

/** As `checkKey`, for a prefix: empty (everything) or ending with `/`. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return
  if (!prefix.endsWith('/')) {
    throw new LitestreamError(
      'STORAGE',
      `the prefix "${prefix}" does not end with "/"; this is a bug, please report it`,
      { kind: 'bug' },
    )
  }
  checkKey(prefix.slice(0, -1))
}
