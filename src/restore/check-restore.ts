// Checks a replica without its source: restores it into a temporary directory, lets SQLite check the result, and leaves nothing behind.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLitestreamError, messageOf } from '../errors.js'
import type { Logger } from '../logger.js'
import { formatPosition } from '../model/position.js'
import type { RestoreTarget } from '../model/target.js'
import type { Verdict } from '../replicate/live-comparison.js'
import type { IntegrityCheck } from './integrity.js'
import { restoreDatabase } from './restore.js'
import type { NamedReplica } from './select.js'

export interface CheckRestoreOptions {
  readonly target: RestoreTarget
  readonly integrityCheck: IntegrityCheck
  readonly parallelism: number
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly monotonic: () => number
}

/** What cannot be restored as it is asked for; anything else that goes wrong says nothing about the replica. */
const DAMAGE = ['CORRUPT', 'NOT_FOUND'] as const

export async function checkByRestoring(replica: NamedReplica, options: CheckRestoreOptions): Promise<Verdict> {
  const { signal } = options
  const directory = await mkdtemp(join(tmpdir(), 'litestream-verify-'))
  const outputPath = join(directory, 'restored.db')
  try {
    const result = await restoreDatabase({ ...options, replicas: [replica], outputPath })
    if (!result) return { outcome: 'failed', reason: 'there is no backup in it', position: '', pageCount: 0 }
    const { pageCount, unchecked } = result
    const position = formatPosition(result.position)
    if (unchecked === undefined) return { outcome: 'ok', reason: '', position, pageCount }
    return {
      outcome: 'inconclusive',
      reason: `restored, but SQLite could not check it: ${unchecked}`,
      position,
      pageCount,
    }
  } catch (error) {
    signal.throwIfAborted()
    const outcome = isLitestreamError(error, ...DAMAGE) ? 'failed' : 'inconclusive'
    return { outcome, reason: messageOf(error), position: '', pageCount: 0 }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
