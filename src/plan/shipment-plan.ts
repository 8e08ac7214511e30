// When the next changes depart. Pure.
//
// - One sync-interval after the last ones departed, at the soonest: an interval costs one request.
// - Sooner after large shipments that took long: until the next one has arrived too, everything since the departure of the last would be lost
//   with this machine, and that is to stay near one interval. With so many bytes the request is the least of the cost.

/** What is known of the shipments that arrived, from the last one backwards. */
export interface Shipments {
  /** Of the last one's pages, before they are compressed. */
  readonly bytes: number
  /** About the longest that large ones took of late; the last one at least. */
  readonly tookMs: number
}

export const LARGE_BYTES = 8 << 20
/** The longest of late is forgotten by a fifth with each shipment. */
const REMEMBERED = 0.8
/** A shipment may take this part of the interval, and is made up for by no more than the other. */
const TOOK_PART = 0.2
const EARLIER_PART_MAX = 0.4
/** What large shipments take while the application writes flat out, measured, in milliseconds a byte: for the first one, when nothing else is known. */
const TAKES_MS_PER_BYTE = 10 / (1 << 20)

export function arrived(before: Shipments | undefined, bytes: number, tookMs: number): Shipments {
  const longestMs = before && before.bytes >= LARGE_BYTES ? before.tookMs * REMEMBERED : 0
  return { bytes, tookMs: Math.max(tookMs, longestMs) }
}

/** How long after the departure of the last shipment the next one may depart; `pendingBytes` are in that one so far. */
export function departureIntervalMs(
  syncIntervalMs: number,
  shipments: Shipments | undefined,
  pendingBytes: number,
): number {
  if (pendingBytes < LARGE_BYTES) return syncIntervalMs
  const known = shipments && shipments.bytes >= LARGE_BYTES
  const takesMs = known ? shipments.tookMs : pendingBytes * TAKES_MS_PER_BYTE
  const lateMs = takesMs - TOOK_PART * syncIntervalMs
  return syncIntervalMs - Math.min(Math.max(0, lateMs), EARLIER_PART_MAX * syncIntervalMs)
}

/** Between two looks at how much is pending, when it may be so much that it departs sooner. */
const LOOK_MS = 50

export interface Departure {
  readonly syncIntervalMs: number
  /** When the last shipment departed, on the clock of `nowMs`. */
  readonly lastShipMs: number
  readonly shipments: Shipments | undefined
  readonly pendingBytes: number
}

/** Until what is pending may depart, or until that has to be asked again; 0 when it may. */
export function departureInMs(departure: Departure, nowMs: number): number {
  const { syncIntervalMs, lastShipMs, shipments, pendingBytes } = departure
  const dueMs = lastShipMs + departureIntervalMs(syncIntervalMs, shipments, pendingBytes) - nowMs
  if (dueMs <= 0) return 0
  const soonestMs = lastShipMs + (1 - EARLIER_PART_MAX) * syncIntervalMs - nowMs
  if (soonestMs > 0) return soonestMs
  return pendingBytes < LARGE_BYTES ? dueMs : Math.min(dueMs, LOOK_MS)
}
