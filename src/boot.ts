// Which boot of which machine this is. Processes of one boot share the monotonic clock, in containers too, and so can tell whose reading
// is the later one, whoever sets the wall clock.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

let known: string | undefined

/** 16 hex digits. Where the system does not tell, or gives this process a clock of its own, they are drawn for this process. */
export function bootId(): string {
  known ??= systemBootId() ?? randomBytes(8).toString('hex')
  return known
}

function systemBootId(): string | undefined {
  try {
    // A time namespace has its own offset to the machine's clock.
    const offsets = readFileSync('/proc/self/timens_offsets', 'utf8')
    if (/^monotonic\s+(?!0\s+0\s*$)/m.test(offsets)) return undefined
  } catch {
    // A kernel without time namespaces.
  }
  try {
    const id = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').replaceAll('-', '').slice(0, 16)
    return /^[0-9a-f]{16}$/.test(id) ? id : undefined
  } catch {
    return undefined
  }
}
