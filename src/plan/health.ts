// Whether a database and a replica are well, as one word, a reason for people, and a verdict. Pure: ages in, words out. What "behind"
// is measured by is told in replicate/replica-record.

/** `30s + 2 × sync-interval`: several tries of an upload that fails now and then, and well within a minute by default. */
export function defaultMaxBehindMs(syncIntervalMs: number): number {
  return 30_000 + 2 * syncIntervalMs
}

/** A database that was there may be away for as long: its application is restarted, its WAL is being recovered. */
const AWAY_MS_MAX = 15_000
/** A replica that has been asked and has said nothing for as long does not answer. */
export const ANSWER_MS_MAX = 5_000

export type DatabaseWord = 'ok' | 'missing' | 'waiting' | 'stalled'
export type ReplicaWord =
  | 'ok'
  /** Changes are on their way, and within the bound. */
  | 'syncing'
  /** A snapshot is on its way. */
  | 'snapshotting'
  /** Nothing of this database is known to be backed up yet. */
  | 'starting'
  | 'behind'
  /** The last try to upload failed. */
  | 'failing'
  /** It was asked and did not answer, or what was in it is gone. */
  | 'unreachable'
  /** Nothing more is collected for it: what waits has reached its bound, or has no place to wait in. */
  | 'overflowed'
  /** Another writer has it, and it is left to that one. */
  | 'stand-by'
  /** The database cannot be observed. */
  | 'waiting'

export interface Verdict<Word> {
  readonly state: Word
  readonly healthy: boolean
  /** One line, no newline. */
  readonly reason: string
}

export interface DatabaseFacts {
  readonly status: 'missing' | 'waiting' | 'quiescent' | 'attached'
  readonly reason: string
  /** For how long the status is what it is. */
  readonly statusAgeMs: number
  /** It could be observed at least once. */
  readonly hasSource: boolean
  /** Since the last round of the loop that looks at it. */
  readonly lookAgeMs: number
  readonly monitorIntervalMs: number
}

export function judgeDatabase(facts: DatabaseFacts): Verdict<DatabaseWord> {
  const { status, reason, statusAgeMs, hasSource, lookAgeMs, monitorIntervalMs } = facts
  if (lookAgeMs > 30_000 + 2 * monitorIntervalMs) {
    return { state: 'stalled', healthy: false, reason: `it was last looked at ${seconds(lookAgeMs)} ago` }
  }
  if (status === 'missing') return { state: 'missing', healthy: false, reason }
  if (status === 'waiting') {
    const away = hasSource && statusAgeMs <= AWAY_MS_MAX
    return { state: 'waiting', healthy: away, reason }
  }
  return { state: 'ok', healthy: true, reason }
}

export interface ReplicaFacts {
  /** The database can be observed. */
  readonly observable: boolean
  /** In this run the replica was seen or made to hold the database. */
  readonly established: boolean
  /** Of a snapshot under way, 0 to 1. */
  readonly snapshotShare?: number | undefined
  /** 0 when everything is there that is known of. */
  readonly behindMs: number
  readonly maxBehindMs: number
  /** The failures in a row that have not ended. */
  readonly failure?: { readonly message: string; readonly ageMs: number; readonly count: number } | undefined
  /** What the last question to the replica gave, when nothing was uploaded since. */
  readonly probe?: { readonly problem: string | undefined; readonly ageMs: number } | undefined
  /** For how long an answer has been waited for. */
  readonly askedForMs?: number | undefined
  /** Another writer has the replica. `behindMs` is then how long nothing has shown that it does its work. */
  readonly standsBy?: { readonly other: string; readonly silenceMs: number } | undefined
  /** Why changes are not collected any more. */
  readonly overflow?: string | undefined
}

export function judgeReplica(facts: ReplicaFacts): Verdict<ReplicaWord> {
  const { established, behindMs, maxBehindMs, probe, askedForMs = 0, standsBy, overflow } = facts
  const snapshot = facts.snapshotShare
  const trouble = troubleOf(facts)
  const behind = `${seconds(behindMs)} behind, allowed are ${seconds(maxBehindMs)}`
  if (standsBy) {
    const left = `it is left to ${standsBy.other}`
    if (behindMs <= maxBehindMs) {
      const until = `until that one stops or writes nothing for ${seconds(standsBy.silenceMs)}`
      return { state: 'stand-by', healthy: true, reason: `${left} ${until}` }
    }
    if (trouble !== undefined) return { state: 'failing', healthy: false, reason: `${behind}: ${trouble}` }
    return { state: 'behind', healthy: false, reason: `${behind}: ${left}, which writes nothing` }
  }
  if (!established) {
    const reason = (text: string): string => `nothing is backed up yet: ${text}`
    if (trouble !== undefined) return { state: 'failing', healthy: false, reason: reason(trouble) }
    if (snapshot !== undefined) {
      return {
        state: 'snapshotting',
        healthy: false,
        reason: reason(`the first snapshot is ${percent(snapshot)} done`),
      }
    }
    if (!facts.observable) return { state: 'waiting', healthy: false, reason: reason('waiting for the database') }
    return { state: 'starting', healthy: false, reason: reason('looking at what the replica holds') }
  }
  if (overflow !== undefined) {
    const late = behindMs > maxBehindMs
    const parts = [late ? behind : undefined, trouble, probe?.problem].filter((part) => part !== undefined)
    return { state: 'overflowed', healthy: !late && probe?.problem === undefined, reason: parts.join(': ') }
  }
  if (probe?.problem !== undefined) return { state: 'unreachable', healthy: false, reason: probe.problem }
  if (askedForMs > ANSWER_MS_MAX) {
    return { state: 'unreachable', healthy: false, reason: `it has not answered for ${seconds(askedForMs)}` }
  }
  if (behindMs > maxBehindMs) {
    if (trouble !== undefined) return { state: 'failing', healthy: false, reason: `${behind}: ${trouble}` }
    return { state: 'behind', healthy: false, reason: behind }
  }
  if (trouble !== undefined) return { state: 'failing', healthy: true, reason: trouble }
  if (snapshot !== undefined) return { state: 'snapshotting', healthy: true, reason: `${percent(snapshot)} done` }
  if (!facts.observable) return { state: 'waiting', healthy: true, reason: 'holds all that was seen of the database' }
  if (behindMs > 0) return { state: 'syncing', healthy: true, reason: 'changes are on their way' }
  return { state: 'ok', healthy: true, reason: 'everything is in the replica' }
}

function troubleOf({ failure, overflow }: ReplicaFacts): string | undefined {
  const parts = [
    overflow && `changes are not collected any more: ${overflow}`,
    failure && `${failure.message} (failing for ${seconds(failure.ageMs)}, ${tries(failure.count)})`,
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? undefined : parts.join('; ')
}

const seconds = (ms: number): string => (ms < 10_000 ? `${(ms / 1000).toFixed(1)}s` : `${Math.round(ms / 1000)}s`)
const percent = (share: number): string => `${Math.floor(share * 100)} %`
const tries = (count: number): string => (count === 1 ? 'one try' : `${count} tries`)
