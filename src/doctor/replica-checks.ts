// Everything about one replica: what its settings say, the way to the store, and what the store lets us do. A replica in a
// directory whose place does not exist yet is not made for this.

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { messageOf } from '../errors.js'
import { openReplica, type ReplicaTarget } from '../replica/open.js'
import { placeOf } from '../replica/s3-endpoint.js'
import { providerOf } from '../replica/s3-providers.js'
import { exists } from '../restore/local-files.js'
import { type Finding, Findings } from './finding.js'
import { checkNetwork } from './network-checks.js'
import { checkStorage } from './storage-checks.js'

/** The smallest part that stores accept: so that little has to be sent to try an upload in parts. */
const PART_BYTES_MIN = 5 * 2 ** 20

export interface ReplicaCheckOptions {
  /** Absolute directory of the database; nothing is written in it. */
  readonly databaseDirectory: string
  readonly scratchName: string
  readonly now: () => number
  readonly env: Readonly<Record<string, string | undefined>>
  readonly ca: string | undefined
  readonly signal: AbortSignal
}

export async function checkReplica(target: ReplicaTarget, options: ReplicaCheckOptions): Promise<Finding[]> {
  const found = new Findings()
  if (target.type === 'file') {
    if (!(await checkDirectory(target.path, options.databaseDirectory, found))) return found.list
  } else if (!(await checkStore(target, options, found))) return found.list
  try {
    const client = await openReplica(target.type === 's3' ? { ...target, partBytes: PART_BYTES_MIN } : target)
    const conditionalWrites = target.type === 's3' ? (providerOf(target.endpoint)?.conditionalWrites ?? 'probe') : 'yes'
    try {
      await checkStorage(client, { ...options, conditionalWrites }, found)
    } finally {
      await client.close()
    }
  } catch (error) {
    found.error('open', messageOf(error), 'correct the settings of this replica')
  }
  return found.list
}

/** A name for what is at the same place as another replica of the same name. */
export function placeName(target: ReplicaTarget): string {
  if (target.type === 'file') return `file://${resolve(target.path)}`
  const { bucket, keyPrefix, endpoint = 'https://s3.amazonaws.com' } = placeOf(target)
  return `${endpoint.toLowerCase()}/${bucket}/${keyPrefix}`
}

async function checkStore(
  target: Extract<ReplicaTarget, { type: 's3' }>,
  { env, ca }: ReplicaCheckOptions,
  found: Findings,
): Promise<boolean> {
  const place = placeOf(target)
  const provider = providerOf(place.endpoint)
  const style = place.forcePathStyle ? 'endpoint/bucket/key' : 'bucket.endpoint/key'
  const name = provider?.name ?? 'not known here, taken for S3-compatible'
  found.ok('provider', `${name}; region ${place.region ?? 'asked of AWS'}; addressed as ${style}`)
  const host = place.endpoint === undefined ? '' : new URL(place.endpoint).hostname
  if (host.startsWith(`${place.bucket}.`) && place.forcePathStyle) {
    const next = `take "${place.bucket}." out of "endpoint" (existing objects then lie under ${place.bucket}/)`
    found.warn('endpoint', `the endpoint begins with the bucket: keys get "${place.bucket}/" in front`, next)
  }
  return checkNetwork(place, { skipVerify: target.skipVerify ?? false, ca, env }, found)
}

async function checkDirectory(path: string, databaseDirectory: string, found: Findings): Promise<boolean> {
  if (`${resolve(path)}/`.startsWith(`${databaseDirectory}/`)) {
    const next = 'put the replica on another disk or store: what takes the database takes this one too'
    found.warn('directory', `${path} lies beside the database; nothing was tried there`, next)
    return false
  }
  if (await exists(path)) return true
  let above = dirname(resolve(path))
  while (!(await exists(above))) above = dirname(above)
  try {
    await access(above, constants.W_OK | constants.X_OK)
    found.ok('directory', `${path} will be made in ${above}`)
  } catch (error) {
    const next = 'make it, or mount it, writable for this user'
    found.error('directory', `${path} cannot be made: ${messageOf(error)}`, next)
  }
  return false
}
