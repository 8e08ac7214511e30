// Everything about other writers of the same replica that is not a claim: whether the store can tell us of them, the mark of a clean
// stop where it cannot, and what to do when one was met. Holds no position; the shipper says when.

import type { TimerClock } from '../clock.js'
import type { Logger } from '../logger.js'
import type { Provenance } from '../model/provenance.js'
import type { ReplicaClient } from '../replica/client.js'
import type { WriterConflict } from './claim.js'
import { takeCleanStop, writeCleanStop } from './clean-stop.js'
import { StandBy } from './stand-by.js'

export type ConflictPolicy = 'new-generation' | 'stand-by'

export interface OtherWritersOptions {
  readonly client: ReplicaClient
  readonly clock: TimerClock
  readonly randomHex: (bytes: number) => string
  readonly log: Logger
  /** What to do when another writer goes on with our generation; by default begin a new one. */
  readonly onConflict?: ConflictPolicy | undefined
  /** When standing by: so long a silence of the other one means that it is gone. */
  readonly takeOverAfterMs?: number | undefined
}

const TAKE_OVER_AFTER_MS = 60_000
const MARK_TIMEOUT_MS = 5000
const NO_CONDITIONAL_WRITES =
  'the store has no conditional writes: a generation is continued only after a clean stop; let only one daemon write to this replica'
export const NO_CLEAN_STOP = 'the store has no conditional writes, and no mark says that the last writer has stopped'

export class OtherWriters {
  private conditional: boolean | undefined
  private standBy: StandBy | undefined

  constructor(private readonly options: OtherWritersOptions) {}

  /** One was met, and the replica is left to it. */
  get standingBy(): boolean {
    return this.standBy !== undefined
  }

  /** The one that was met and has the replica, and how it does. */
  get standsBy(): Pick<StandBy, 'other' | 'silenceMs' | 'overdueMs'> | undefined {
    return this.standBy
  }

  /** While standing by: until the next look. */
  get pauseMs(): number {
    return this.standBy?.pauseMs ?? 0
  }

  /** Whether claims mean anything on this store. Asks it once. */
  async findConditional(signal: AbortSignal): Promise<boolean> {
    const { client, randomHex, log } = this.options
    if (this.conditional === undefined) {
      this.conditional = (await client.conditionalPuts?.(`litestream-node/probe-${randomHex(8)}`, signal)) ?? true
      if (!this.conditional) log.warn(NO_CONDITIONAL_WRITES)
    }
    return this.conditional
  }

  /** Without conditional writes nothing shows another writer: go on only where the last one says that it has stopped. */
  async mayContinue(newestKey: string, writer: string, signal: AbortSignal): Promise<boolean> {
    const { client, clock } = this.options
    return this.conditional === true || (await takeCleanStop(client, newestKey, writer, clock, signal))
  }

  /** Everything is shipped and nothing more will come. */
  async markCleanStop(newest: string | undefined, writer: string): Promise<void> {
    const { client, log, onConflict } = this.options
    if (newest === undefined || (this.conditional && onConflict !== 'stand-by')) return
    const signal = AbortSignal.timeout(MARK_TIMEOUT_MS)
    await writeCleanStop(client, { newest, writer }, signal).catch((error: unknown) =>
      log.warn('the mark of a clean stop could not be written', { error }),
    )
  }

  /** Another writer has gone on with our generation. The result is the reason for a new one; undefined when standing by. */
  met({ key, who }: WriterConflict, writer: string): string | undefined {
    const { client, clock, log, onConflict = 'new-generation', takeOverAfterMs = TAKE_OVER_AFTER_MS } = this.options
    log.warn('another writer has gone on with this generation', { key, other: who, writer, 'on-conflict': onConflict })
    if (onConflict === 'new-generation') return `${who} has gone on with the generation`
    this.standBy = new StandBy(client, clock, takeOverAfterMs, who)
    return undefined
  }

  /** True when it is our turn (again). `source`: the state of our database. */
  async ourTurn(source: Provenance['source'] | undefined, signal: AbortSignal): Promise<boolean> {
    const why = await this.standBy?.look(source, signal)
    if (this.standBy && why === undefined) return false
    if (this.standBy) this.options.log.info('taking over', { reason: why })
    this.standBy = undefined
    return true
  }
}
