// At the end of a run the real restore pipeline gives every point that was promised: the newest, some moments, some indexes.

import type { FileHandle } from 'node:fs/promises'
import { LitestreamError } from '../../src/errors.js'
import { formatMoment, type RestoreTarget } from '../../src/model/target.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { restoreFile } from '../../src/restore/pipeline.js'
import { selectReplica } from '../../src/restore/select.js'
import type { Checks } from './checks.js'
import { PAGE_BYTES } from './disk.js'
import { differenceFrom, type Ledger } from './ledger.js'
import { readObject } from './objects.js'
import type { Scheduler } from './scheduler.js'
import type { Store, StoredBytes } from './store.js'

interface Contents {
  list(prefix: string): readonly StoredBytes[]
  readonly objects: ReadonlyMap<string, StoredBytes>
}

/** What somebody would have listed at some moment, and what was there. */
export interface View {
  readonly listed: readonly StoredBytes[]
  readonly objects: ReadonlyMap<string, StoredBytes>
}

async function restore(client: ReplicaClient, target: RestoreTarget) {
  const { usable } = await selectReplica([{ name: 'store', client }], target, undefined)
  const plan = usable[0]?.plan
  if (!plan) return undefined
  const file = new MemoryFile()
  await restoreFile(client, plan, file as unknown as FileHandle, { parallelism: 2 })
  return { plan, pages: file.pages() }
}

/** Whoever restores from a listing that lags gets an error or a committed state, never something else. */
export async function checkViews(views: readonly View[], ledger: Ledger, scheduler: Scheduler): Promise<void> {
  for (const { listed, objects } of views) {
    const client = instantClient({ list: (prefix) => listed.filter(({ key }) => key.startsWith(prefix)), objects })
    try {
      const restored = await restore(client, { kind: 'latest' })
      if (!restored) continue
      const last = restored.plan.segments.at(-1) ?? restored.plan.snapshot
      const source = readObject(objects.get(last.key) as StoredBytes)?.provenance?.source
      const states = source ? ledger.statesOf(source) : []
      if (states.some((state) => differenceFrom(state, restored.pages) === undefined)) continue
      scheduler.fail(`restored from a listing that lagged, up to ${last.key}: no state that ever was`)
    } catch (error) {
      if (!(error instanceof LitestreamError)) scheduler.fail(`restored from a listing that lagged: ${error}`)
    }
  }
}

export async function checkRestores(store: Store, checks: Checks, ledger: Ledger, scheduler: Scheduler): Promise<void> {
  const random = scheduler.random(7)
  const client = instantClient({ list: (prefix) => store.list(prefix, true), objects: store.objects })
  try {
    const latest = await restore(client, { kind: 'latest' })
    const wrong = latest ? differenceFrom(ledger.current, latest.pages) : 'there is nothing to restore'
    if (wrong) scheduler.fail(`the restored database is not the source: ${wrong}`)

    const generation = latest?.plan.generation ?? ''
    const points = checks.pointsOf(generation)
    // A machine whose clock was set back gives some moments twice.
    const moments = points.map(({ object }) => object.provenance?.observedAtMs ?? 0)
    const inOrder = moments.every((moment, i) => i === 0 || moment >= (moments[i - 1] as number))
    for (let i = 0; i < 1 && points.length > 0 && inOrder; i++) {
      const { object } = random.pick(points)
      const atMs = (object.provenance?.observedAtMs ?? 0) + random.below(3)
      const restored = await restore(client, { kind: 'time', atMs })
      if (!restored) {
        scheduler.fail(`nothing was restored for ${formatMoment(atMs)}`)
        continue
      }
      const expected = checks.pointOf(restored.plan)
      const difference = expected && differenceFrom(expected.state, restored.pages)
      if (difference) scheduler.fail(`restored for ${formatMoment(atMs)}: ${difference}`)
      if (restored.plan.stateAtMs > atMs) scheduler.fail(`restored for ${formatMoment(atMs)}: a later state`)
    }
  } catch (error) {
    scheduler.fail(`a restore failed: ${(error as Error).message}`)
  }
}

/** What nothing stands in the way of: restores are looked at when everything is quiet. Does as much as a restore asks of a client. */
function instantClient({ list, objects }: Contents): ReplicaClient {
  const client: Pick<ReplicaClient, 'list' | 'get'> = {
    async *list(prefix) {
      yield* list(prefix).map(({ key, bytes, modifiedAtMs }) => ({ key, size: bytes.length, modifiedAtMs }))
    },
    async get(key, options) {
      const object = objects.get(key)
      if (!object) throw new LitestreamError('NOT_FOUND', `get ${key}: no such object`)
      const bytes = object.bytes.subarray(options?.start ?? 0)
      return (async function* () {
        yield bytes
      })()
    },
  }
  return client as ReplicaClient
}

/** As much of a FileHandle as a restore uses. */
class MemoryFile {
  private bytes = Buffer.alloc(0)

  async write(from: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }> {
    if (position + length > this.bytes.length) await this.truncate(position + length)
    this.bytes.set(from.subarray(offset, offset + length), position)
    return { bytesWritten: length }
  }

  async truncate(length: number): Promise<void> {
    const bytes = Buffer.alloc(length)
    this.bytes.copy(bytes)
    this.bytes = bytes
  }

  pages(): Buffer[] {
    const count = Math.ceil(this.bytes.length / PAGE_BYTES)
    return Array.from({ length: count }, (_, i) => this.bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES))
  }
}
