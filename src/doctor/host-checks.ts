// What this machine (or container) must offer beside the databases: a place for what does not fit into memory while it waits.

import { mkdir, rmdir, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { messageOf } from '../errors.js'
import { exists } from '../restore/local-files.js'
import { bytesText, type Finding, Findings } from './finding.js'

/** What waits during an outage of some minutes under a moderate load. */
const ROOM_BYTES = 256 * 2 ** 20

/** `directory` is where page images wait; `databaseDirectories` must not hold it. `scratchName` is unguessable. */
export async function checkSpool(
  directory: string,
  databaseDirectories: readonly string[],
  scratchName: string,
): Promise<Finding[]> {
  const found = new Findings()
  const volume = databaseDirectories.find((one) => `${resolve(directory)}/`.startsWith(`${one}/`))
  if (volume !== undefined) {
    const next = 'choose a directory elsewhere: TMPDIR or meta-path; nothing was written there now'
    found.error('spool', `${directory} lies beside a database, in ${volume}`, next)
    return found.list
  }
  let above = resolve(directory)
  while (!(await exists(above))) above = resolve(above, '..')
  try {
    // A directory, as the spool makes one, and gone at once.
    const scratch = join(above, `litestream-doctor-${scratchName}`)
    await mkdir(scratch, { mode: 0o700 })
    await rmdir(scratch)
  } catch (error) {
    const next = 'mount a volume or a tmpfs there, or name another directory with TMPDIR or meta-path'
    found.error('spool', `${directory} cannot be written: ${messageOf(error)}`, next)
    return found.list
  }
  const { bavail, bsize } = await statfs(above)
  const text = `${bytesText(bavail * bsize)} free in ${directory}`
  if (bavail * bsize >= ROOM_BYTES) found.ok('spool', text)
  else found.warn('spool', text, 'give it more room: changes wait there while a store is away and memory is not enough')
  return found.list
}
