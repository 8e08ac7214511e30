// Compares database files page by page, in pieces, so that their size does not matter.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const PIECE_BYTES = 1 << 22

/** Numbers of the pages that differ, ascending; a page that only one of the files has differs. */
export function differingPages(pathA: string, pathB: string, pageSize: number): number[] {
  const a = openSync(pathA, 'r')
  const b = openSync(pathB, 'r')
  try {
    const bytes = Math.max(fstatSync(a).size, fstatSync(b).size)
    const pieceA = Buffer.alloc(PIECE_BYTES)
    const pieceB = Buffer.alloc(PIECE_BYTES)
    const differing: number[] = []
    for (let position = 0; position < bytes; position += PIECE_BYTES) {
      const haveA = readPiece(a, pieceA, position)
      const haveB = readPiece(b, pieceB, position)
      if (haveA === haveB && pieceA.compare(pieceB, 0, haveB, 0, haveA) === 0) continue
      for (let at = 0; at < Math.max(haveA, haveB); at += pageSize) {
        const pageA = pieceA.subarray(Math.min(at, haveA), Math.min(at + pageSize, haveA))
        const pageB = pieceB.subarray(Math.min(at, haveB), Math.min(at + pageSize, haveB))
        if (!pageA.equals(pageB)) differing.push((position + at) / pageSize + 1)
      }
    }
    return differing
  } finally {
    closeSync(a)
    closeSync(b)
  }
}

function readPiece(fd: number, into: Buffer, position: number): number {
  let done = 0
  while (done < into.length) {
    const bytes = readSync(fd, into, done, into.length - done, position + done)
    if (bytes === 0) break
    done += bytes
  }
  return done
}
