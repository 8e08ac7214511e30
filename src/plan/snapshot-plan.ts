// When a snapshot is due, and what a policy really keeps. Pure.
//
// - `snapshot-interval` after the last one; where that is 0, when the last one is as old as the retention: without a newer one
//   retention could never delete anything. With both at 0 there is only the snapshot that begins a generation.
// - Never when nothing was shipped since the last one.

import { formatMilliseconds } from '../model/duration.js'

export interface Policy {
  /** 0: off. */
  readonly snapshotIntervalMs: number
  /** 0: everything is kept. */
  readonly retentionMs: number
}

/** A moment on both clocks. */
export interface Moment {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** How long until the next snapshot is due: 0 for now, infinite while nothing has changed or none is wanted. */
export function snapshotDueInMs(policy: Policy, last: Moment, changedSince: boolean, now: Moment): number {
  const intervalMs = policy.snapshotIntervalMs > 0 ? policy.snapshotIntervalMs : policy.retentionMs
  if (!(intervalMs > 0) || !changedSince) return Number.POSITIVE_INFINITY
  // The wall clock knows of time that the machine slept, the monotonic one is not set back. Too early does no harm.
  const ageMs = Math.max(now.wallMs - last.wallMs, now.monotonicMs - last.monotonicMs)
  return Math.max(0, intervalMs - ageMs)
}

/** What to tell a person whose policy keeps something else than it seems to; undefined when it does not. */
export function policyNote({ snapshotIntervalMs, retentionMs }: Policy): string | undefined {
  if (retentionMs <= 0 || snapshotIntervalMs <= retentionMs) return undefined
  const [retention, interval] = [formatMilliseconds(retentionMs), formatMilliseconds(snapshotIntervalMs)]
  const both = formatMilliseconds(retentionMs + snapshotIntervalMs)
  return (
    `retention (${retention}) is shorter than snapshot-interval (${interval}): every moment of the last ${retention} can be restored, ` +
    `and for that the snapshot before it and all changes since are kept, up to ${both} in all`
  )
}
