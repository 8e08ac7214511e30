// What the store has been asked so far, from its own counters: who is measured pays nothing for it. Listings that the benchmark
// itself makes are counted too; where requests matter, it makes none.

import type { MinioServer } from '../test/support/minio.js'

export interface Traffic {
  /** By the name of the operation: PutObject, ListObjectsV2 ... */
  readonly requests: Readonly<Record<string, number>>
  /** Of the bodies of requests. */
  readonly receivedBytes: number
}

export async function trafficOf(minio: MinioServer): Promise<Traffic> {
  const response = await fetch(`${minio.endpoint}/minio/metrics/v3/api/requests`)
  const text = await response.text()
  if (!response.ok) throw new Error(`the store does not tell its counters: ${response.status} ${text}`)
  const requests: Record<string, number> = {}
  for (const [, name = '', value] of text.matchAll(/^minio_api_requests_total\{name="(\w+)".*\} (\S+)$/gm)) {
    requests[name] = Number(value)
  }
  const received = /^minio_api_requests_traffic_received_bytes\{.*\} (\S+)$/m.exec(text)
  return { requests, receivedBytes: Number(received?.[1] ?? 0) }
}

/** What was added between two looks. */
export function trafficBetween(before: Traffic, after: Traffic): Traffic {
  const added = Object.entries(after.requests).map(([name, count]) => [name, count - (before.requests[name] ?? 0)])
  return { requests: Object.fromEntries(added), receivedBytes: after.receivedBytes - before.receivedBytes }
}

export const requestsIn = ({ requests }: Traffic): number =>
  Object.values(requests).reduce((sum, count) => sum + count, 0)

/** Those that store or delete something: what stores bill as class A, without listings. */
export const writesIn = ({ requests }: Traffic): number =>
  Object.entries(requests).reduce((sum, [name, count]) => (/^(List|Get|Head)/.test(name) ? sum : sum + count), 0)
