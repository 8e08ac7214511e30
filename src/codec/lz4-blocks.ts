// Decodes single, independent LZ4 blocks, and is the only importer of lz4-napi, loaded at the first use. Decoding is quick enough for the
// calling thread. Blocks are compressed elsewhere (see lz4-compress).
//
// lz4-napi's form of a block, and what a frame's block looks like, differ only in the meaning of the first four bytes:
//
//   bytes   lz4-napi                             frame
//   4       content length, little-endian        block length and "stored" flag, little-endian
//   ..      the sequences (see lz4-sequences)    the same
//
// So blocks travel with four bytes of room in front, and whoever has them last writes what is needed there. The length in
// front is what lz4-napi allocates, in full and for as long as the result lives, although the result may be shorter and the
// garbage collector only hears of that shorter length. So it is only ever told the truth or a block's maximum: see frame-decode.
//
// Memory: its allocator (mimalloc) lets each thread of the pool hoard what other threads free. Measured with 4 MiB blocks, decoded in
// the pool as it comes: 1.7 GB resident, 0.3 GB with the setting below; 0.15 GB without the pool.

import { setImmediate } from 'node:timers/promises'
import { LitestreamError, messageOf } from '../errors.js'
import { madeGarbage } from '../garbage.js'

/** Bytes in front of a block that belong to whoever wraps it. */
export const BLOCK_ROOM_BYTES = 4

/** Up to here the work is done at once anyway, in about 0.05 ms. */
const UNCOMPRESS_AT_ONCE_BYTES_MAX = 64 * 1024

/** mimalloc's bound on memory kept by one thread, in segments of 32 MiB. It reads its settings once, while it is loaded. */
const ALLOCATOR_SETTING = 'MIMALLOC_TARGET_SEGMENTS_PER_THREAD'
const ALLOCATOR_SEGMENTS = '2'

type Lz4 = typeof import('lz4-napi')
let loading: Promise<Lz4> | undefined

function load(): Promise<Lz4> {
  loading ??= loadWithAllocatorSetting().catch((cause: unknown) => {
    throw new LitestreamError(
      'LOCAL',
      `cannot load the LZ4 library for this platform (${process.platform}-${process.arch}); install the package again on this machine, with its optional dependencies: ${messageOf(cause)}`,
      { cause },
    )
  })
  return loading
}

async function loadWithAllocatorSetting(): Promise<Lz4> {
  if (process.env[ALLOCATOR_SETTING] !== undefined) return await import('lz4-napi')
  process.env[ALLOCATOR_SETTING] = ALLOCATOR_SEGMENTS
  try {
    return await import('lz4-napi')
  } finally {
    // Programs that we start must not inherit it.
    delete process.env[ALLOCATOR_SETTING]
  }
}

/**
 * Decode `block`, which begins with BLOCK_ROOM_BYTES that this function overwrites, on the calling thread. Rejects with the library's
 * error when the block is malformed or longer than `uncompressedBytesMax`; a block that is shorter keeps that much memory all the same.
 */
export async function uncompressBlock(block: Buffer, uncompressedBytesMax: number): Promise<Buffer> {
  const lz4 = await load()
  block.writeUInt32LE(uncompressedBytesMax, 0)
  if (uncompressedBytesMax > UNCOMPRESS_AT_ONCE_BYTES_MAX) await setImmediate()
  const content = lz4.uncompressSync(block)
  madeGarbage(content.length, true)
  return content
}
