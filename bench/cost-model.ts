// What replicating one database costs in a month, from how it is written: requests, bytes, processor time, dollars. Pure; docs/cost.md
// tells the same formulas in words, test/bench/cost.test.ts holds them against the requests of a real run.

export interface Workload {
  /** At random moments, while it is written at all. */
  readonly transactionsPerSecond: number
  /** Hours of a day in which it is. */
  readonly activeHours: number
  /** Pages that one transaction changes. */
  readonly pagesPerTransaction: number
  /** Pages among which those are chosen. */
  readonly hotPages: number
  readonly databaseBytes: number
}

export interface Policy {
  readonly syncIntervalSeconds: number
  readonly retentionHours: number
  /** 0: a snapshot when the last one is as old as the retention. */
  readonly snapshotIntervalHours: number
  readonly retentionCheckHours: number
}

export const DEFAULT_POLICY: Policy = {
  syncIntervalSeconds: 1,
  retentionHours: 24,
  snapshotIntervalHours: 0,
  retentionCheckHours: 1,
}

export interface Cost {
  /** While it is written. */
  readonly uploadsPerSecond: number
  readonly bytesPerUpload: number
  /** In a month. */
  readonly puts: number
  readonly lists: number
  readonly gets: number
  /** Of up to 1,000 objects each. */
  readonly deletions: number
  readonly sentBytes: number
  readonly storedBytes: number
  readonly storedObjects: number
  readonly cpuSeconds: number
}

/** List prices in dollars, of storage in the United States. */
export interface Prices {
  /** For a million requests: PUT, COPY, POST, LIST. */
  readonly classA: number
  /** For a million: GET and all others. */
  readonly classB: number
  /** For a gigabyte and month. */
  readonly storage: number
}

export const PRICES: Readonly<Record<string, Prices>> = {
  'AWS S3 Standard': { classA: 5, classB: 0.4, storage: 0.023 },
  'Cloudflare R2': { classA: 4.5, classB: 0.36, storage: 0.015 },
}

export const DAYS_PER_MONTH = 30
const PAGE_BYTES = 4096
const FRAME_BYTES = PAGE_BYTES + 24
/** Provenance behind each segment, and what surrounds it. */
const SEGMENT_OVERHEAD_BYTES = 600
const SEGMENTS_PER_INDEX = 256
const INDEX_BYTES = 64 * 2 ** 20
const PART_BYTES = 5 * 2 ** 20
const OBJECTS_PER_LIST = 1000
/** Once a start and bucket: whether the store honours conditions is tried out, and the replica is looked at. No part of a month. */
export const START_REQUESTS = { writes: 7, reads: 3 }
/** LZ4 on text and numbers, as in the benchmarks; the first pages of an object find little that they could refer to. */
const COMPRESSED = { segment: 0.44, snapshot: 0.47 }
const FIRST_PAGES = { extraBytes: 8000, pages: 8 }
/** Measured by growth-rates and snapshot on the machine of BENCHMARKS.md; of other machines only the proportions hold. */
const CPU = { perUpload: 0.004, perLook: 0.0009, perShippedByte: 8.5e-9, perSnapshotByte: 5e-9 }
/** A commit wakes the follower, which then looks for a quarter of a second; while commits come it looks every 50 ms. */
const LOOKS = { perTransaction: 7, perSecondMax: 20 }

/** One at once after a quiet time, then one an interval at most: the mean way from one to the next. */
export function uploadsPerSecond(transactionsPerSecond: number, syncIntervalSeconds: number): number {
  if (transactionsPerSecond === 0) return 0
  const quiet = Math.exp(-transactionsPerSecond * syncIntervalSeconds) / transactionsPerSecond
  return 1 / (syncIntervalSeconds + quiet)
}

/** How many different pages `writes` random writes to `pages` pages change. */
export function distinctPages(writes: number, pages: number): number {
  return pages <= 1 ? Math.min(writes, pages) : pages * -Math.expm1(writes * Math.log1p(-1 / pages))
}

/** Requests for one object of so many bytes: one, or its parts and what begins and ends them. */
function objectPuts(bytes: number): number {
  const parts = Math.ceil(bytes / PART_BYTES)
  return parts <= 1 ? 1 : parts + 2
}

/** Requests for one snapshot and its overlay. */
export function snapshotPuts(databaseBytes: number): number {
  return objectPuts(databaseBytes * COMPRESSED.snapshot) + 1
}

export function costOf(workload: Workload, policy: Policy = DEFAULT_POLICY): Cost {
  const { transactionsPerSecond, activeHours, pagesPerTransaction, hotPages, databaseBytes } = workload
  const { retentionHours, syncIntervalSeconds, retentionCheckHours } = policy
  const snapshotHours = policy.snapshotIntervalHours || retentionHours
  const activeSeconds = activeHours * 3600 * DAYS_PER_MONTH
  const perSecond = uploadsPerSecond(transactionsPerSecond, syncIntervalSeconds)
  const uploads = perSecond * activeSeconds

  const transactionsPerUpload = perSecond === 0 ? 0 : transactionsPerSecond / perSecond
  const pages = distinctPages(transactionsPerUpload * pagesPerTransaction, hotPages)
  const extraBytes = FIRST_PAGES.extraBytes * -Math.expm1(-pages / FIRST_PAGES.pages)
  const bytesPerUpload = pages * FRAME_BYTES * COMPRESSED.segment + extraBytes + SEGMENT_OVERHEAD_BYTES
  const indexes = Math.max(uploads / SEGMENTS_PER_INDEX, (uploads * pages * FRAME_BYTES) / INDEX_BYTES)

  const used = activeHours === 0 ? 0 : 1
  const snapshots = used * ((DAYS_PER_MONTH * 24) / Math.max(snapshotHours, 24 - activeHours))
  const snapshotBytes = databaseBytes * COMPRESSED.snapshot
  // The window, and everything back to the snapshot before it.
  const keptHours = retentionHours + snapshotHours
  const keptShare = keptHours / (DAYS_PER_MONTH * 24)
  const storedObjects = (uploads + indexes) * keptShare + Math.max(1, snapshots * keptShare)
  const storedBytes = uploads * keptShare * bytesPerUpload + Math.max(1, snapshots * keptShare) * snapshotBytes

  const checks = (activeSeconds / 3600 / retentionCheckHours) * used
  // What is begun is deleted in the end.
  const deletions = Math.min(checks, snapshots) + (uploads + indexes) / OBJECTS_PER_LIST
  const shippedBytes = uploads * pages * FRAME_BYTES
  const looks = Math.min(LOOKS.perTransaction * transactionsPerSecond, LOOKS.perSecondMax) * activeSeconds
  return {
    uploadsPerSecond: perSecond,
    bytesPerUpload,
    puts: uploads * objectPuts(bytesPerUpload) + indexes + snapshots * snapshotPuts(databaseBytes),
    lists: checks * Math.ceil(storedObjects / OBJECTS_PER_LIST),
    gets: checks * 2,
    deletions,
    sentBytes: uploads * bytesPerUpload + snapshots * snapshotBytes,
    storedBytes,
    storedObjects,
    cpuSeconds:
      uploads * CPU.perUpload +
      looks * CPU.perLook +
      shippedBytes * CPU.perShippedByte +
      snapshots * databaseBytes * CPU.perSnapshotByte,
  }
}

/** Deleting is free with all of them, and sending too. */
export function dollarsOf({ puts, lists, gets, storedBytes }: Cost, prices: Prices): number {
  return ((puts + lists) * prices.classA + gets * prices.classB) / 1e6 + (storedBytes / 1e9) * prices.storage
}
