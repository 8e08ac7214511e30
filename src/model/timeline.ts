// The objects of a replica in the order in which a restore needs them. Made from a listing alone, so it knows names, stored sizes
// and the storage's times; lengths and contents are the restore pipeline's to check. Names of any other form are left out.

import { parseKey, segmentKey } from './layout.js'

/** What a listing says about an object. */
export interface ListedObject {
  readonly key: string
  /** Stored (compressed) bytes. */
  readonly size: number
  /** Milliseconds since 1970, the storage's clock. */
  readonly modifiedAtMs: number
}

export interface StoredSnapshot extends ListedObject {
  readonly kind: 'snapshot'
  readonly generation: string
  readonly index: number
}

export interface StoredSegment extends ListedObject {
  readonly kind: 'segment'
  readonly generation: string
  readonly index: number
  readonly offset: number
}

export type StoredObject = StoredSnapshot | StoredSegment

/** One generation. Snapshots ascend by index, segments by index and offset; there is at least one of either. */
export interface GenerationTimeline {
  readonly generation: string
  readonly snapshots: readonly StoredSnapshot[]
  readonly segments: readonly StoredSegment[]
  /** The storage's times of the oldest and the newest object. */
  readonly firstAtMs: number
  readonly lastAtMs: number
}

/** The generations of a listing, by name. The order of the listing does not matter. */
export function buildTimelines(objects: Iterable<ListedObject>): GenerationTimeline[] {
  const builder = new TimelineBuilder()
  for (const object of objects) builder.add(object)
  return builder.timelines()
}

/** The same while the listing streams by, so that nothing is in memory twice. */
export class TimelineBuilder {
  private readonly found = new Map<
    string,
    { generation: string; snapshots: StoredSnapshot[]; segments: StoredSegment[] }
  >()

  add({ key, size, modifiedAtMs }: ListedObject): void {
    const name = parseKey(key)
    if (!name) return
    let entry = this.found.get(name.generation)
    if (!entry) {
      entry = { generation: name.generation, snapshots: [], segments: [] }
      this.found.set(name.generation, entry)
    }
    // One text for all objects of a generation, not a piece of each key.
    const { generation } = entry
    const { kind, index } = name
    if (kind === 'snapshot') entry.snapshots.push({ kind, generation, index, key, size, modifiedAtMs })
    else entry.segments.push({ kind, generation, index, offset: name.offset, key, size, modifiedAtMs })
  }

  timelines(): GenerationTimeline[] {
    return [...this.found.values()]
      .sort((a, b) => (a.generation < b.generation ? -1 : 1))
      .map(({ generation, snapshots, segments }) => {
        snapshots.sort((a, b) => a.index - b.index)
        segments.sort(compareSegments)
        let firstAtMs = Number.POSITIVE_INFINITY
        let lastAtMs = Number.NEGATIVE_INFINITY
        for (const list of [snapshots, segments]) {
          for (const { modifiedAtMs } of list) {
            firstAtMs = Math.min(firstAtMs, modifiedAtMs)
            lastAtMs = Math.max(lastAtMs, modifiedAtMs)
          }
        }
        return { generation, snapshots, segments, firstAtMs, lastAtMs }
      })
  }
}

function compareSegments(a: StoredSegment, b: StoredSegment): number {
  return a.index - b.index || a.offset - b.offset
}

/** The highest index that any object of the generation has. */
export function newestIndex({ snapshots, segments }: GenerationTimeline): number {
  return Math.max(snapshots.at(-1)?.index ?? 0, segments.at(-1)?.index ?? 0)
}

/** The newest object by place: the last segment, or the last snapshot where no segment follows it. */
export function newestObject({ snapshots, segments }: GenerationTimeline): StoredObject | undefined {
  const snapshot = snapshots.at(-1)
  const segment = segments.at(-1)
  if (!snapshot || !segment) return segment ?? snapshot
  return segment.index >= snapshot.index ? segment : snapshot
}

/** The place of the first segment of `segments` at or after the beginning of `index`. */
export function firstSegmentAt(segments: readonly StoredSegment[], index: number): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((segments[middle] as StoredSegment).index < index) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The key of the first object that is visibly missing between the beginning of `index` and the end of `segments`: every index
 * from there on must be present and begin at offset 0. Holes between offsets show only when lengths are known.
 */
export function firstMissing(
  segments: readonly StoredSegment[],
  generation: string,
  index: number,
): string | undefined {
  let expected = index
  let current = index - 1
  for (const segment of segments) {
    if (segment.index === current) continue
    if (segment.index !== expected || segment.offset !== 0) return segmentKey(generation, expected, 0)
    current = segment.index
    expected = current + 1
  }
  return undefined
}
