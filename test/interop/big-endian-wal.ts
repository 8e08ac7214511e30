// Makes a WAL as a big-endian machine would have written it, from one that SQLite wrote here: the magic's last bit, and every
// checksum of the chain. SQLite recovers such a WAL and goes on in its byte order until the next restart.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  frameOffset,
  parseWalHeader,
  WAL_HEADER_BYTES,
  WalChecksum,
} from '../../src/sqlite/wal-format.js'
import { WalScanner } from '../../src/sqlite/wal-scan.js'

export interface WalChain {
  readonly bigEndian: boolean
  /** Frames from the first one to where the salts or the checksums end. */
  readonly frames: number
}

export function readWalChain(databasePath: string): WalChain {
  const { bigEndian, commits } = scan(readFileSync(`${databasePath}-wal`))
  return { bigEndian, frames: commits.length }
}

/** Only while no connection is open. The `-shm` is removed, so that the next one recovers the WAL. */
export function makeWalBigEndian(databasePath: string): WalChain {
  const path = `${databasePath}-wal`
  const wal = readFileSync(path)
  const { header, pages, commits } = scan(wal)
  const { pageSize, salt1, salt2 } = header
  const checksum = new WalChecksum(true)
  wal.writeUInt32BE(0x377f0683, 0)
  checksum.addBytes(wal, 0, 24)
  wal.writeUInt32BE(checksum.checksum1, 24)
  wal.writeUInt32BE(checksum.checksum2, 28)
  for (const [frame, page] of pages.entries()) {
    const commitPageCount = commits[frame] as number
    encodeFrame(wal, frameOffset(frame, pageSize), { page, commitPageCount, salt1, salt2, pageSize }, checksum)
  }
  writeFileSync(path, wal)
  rmSync(`${databasePath}-shm`)
  return { bigEndian: true, frames: pages.length }
}

function scan(wal: Buffer) {
  const header = parseWalHeader(wal)
  if (!header) throw new Error('this is not a WAL')
  const { bigEndianChecksum: bigEndian, pageSize, salt1, salt2 } = header
  const scanner = new WalScanner(pageSize, bigEndian, salt1, salt2, { frames: 0, ...header })
  const frames = Buffer.from(new Uint8Array(wal.subarray(WAL_HEADER_BYTES)).buffer)
  const result = scanner.scan(frames, Math.floor(frames.length / (FRAME_HEADER_BYTES + pageSize)))
  const pages = [...result.pages.subarray(0, result.frames)]
  const commits = [...result.commits.subarray(0, result.frames)]
  return { header, bigEndian, pages, commits }
}
