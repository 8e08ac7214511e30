// The test's side of tracker-child.ts, and the forging of ghosts: frames that are valid in every respect except that no wal-index
// ever published them.

import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { WalCursor } from '../../../src/model/provenance.js'
import type { Look } from '../../../src/replicate/wal-tracker.js'
import { encodeFrame, FRAME_HEADER_BYTES, frameOffset, WalChecksum } from '../../../src/sqlite/wal-format.js'
import type { WalIndexHeader } from '../../../src/sqlite/wal-index.js'
import type { Mount } from './child.js'
import type { Scene } from './scene.js'
import type { Attached } from './tracker-child.js'

export interface TrackerHandle {
  readonly pid: number
  attach(path: string): Promise<Attached>
  anchor(): Promise<boolean>
  /** Take the database as it is now for the mirror, at a moment when nobody writes. */
  load(contents: Buffer): Promise<void>
  resume(contents: Buffer, cursor: WalCursor): Promise<true | string>
  look(): Promise<Look>
  takePin(): Promise<boolean>
  leapfrog(): Promise<boolean>
  releasePin(): Promise<void>
  attached(): Promise<boolean>
  cursor(): Promise<WalCursor>
  header(): Promise<WalIndexHeader>
  contents(): Promise<Buffer | undefined>
  close(): Promise<void>
}

export async function startTracker(scene: Scene, mount: Mount): Promise<TrackerHandle> {
  const child = await scene.child('support/observer/tracker-child.ts', mount)
  const file = join(scene.directory, `tracker-image-${child.pid}`)
  return {
    pid: child.pid,
    attach: (path) => child.call('attach', path),
    anchor: () => child.call('anchor'),
    async load(contents) {
      writeFileSync(file, contents)
      await child.call('load', file)
    },
    resume(contents, cursor) {
      writeFileSync(file, contents)
      return child.call('resume', { file, cursor })
    },
    look: () => child.call('look'),
    takePin: () => child.call('takePin'),
    leapfrog: () => child.call('leapfrog'),
    releasePin: () => child.call('releasePin'),
    attached: () => child.call('attached'),
    cursor: () => child.call('cursor'),
    header: () => child.call('header'),
    async contents() {
      return (await child.call<boolean>('save', file)) ? readFileSync(file) : undefined
    },
    close: () => child.call('close'),
  }
}

/**
 * Append a commit of one page behind the last published frame, as a writer leaves it that dies before it publishes. False when the
 * WAL holds no frame of this cycle. `seed` makes the content differ.
 */
export function forgeGhost(walPath: string, header: WalIndexHeader, seed: number): boolean {
  const { pageSize, mxFrame, pageCount, salt1, salt2 } = header
  if (mxFrame === 0) return false
  const frameBytes = FRAME_HEADER_BYTES + pageSize
  const fd = openSync(walPath, 'r+')
  try {
    const frame = Buffer.from(new ArrayBuffer(frameBytes))
    readSync(fd, frame, 0, frameBytes, frameOffset(mxFrame - 1, pageSize))
    const page = frame.readUInt32BE(0)
    frame.writeUInt32LE(seed >>> 0, frameBytes - 4)
    const checksum = new WalChecksum(header.bigEndianChecksum, header.checksum1, header.checksum2)
    encodeFrame(frame, 0, { page, commitPageCount: pageCount, salt1, salt2, pageSize }, checksum)
    writeSync(fd, frame, 0, frameBytes, frameOffset(mxFrame, pageSize))
    return true
  } finally {
    closeSync(fd)
  }
}
