// Where a daemon's control socket is, told from the configuration alone, so that daemon and command agree without talking:
//
//   socket.path                                    where it is given; else
//   META-PATH/litestream-HASH.sock                 below the first meta-path that is given; else, and where that cannot be used,
//   TMPDIR/litestream-HASH/control.sock            in a directory of its own, with mode 0700 and ours;
//   /dev/shm/litestream-HASH/control.sock          where there is no writable temporary directory (a read-only container)
//
// HASH belongs to the configuration file's path. Never on a volume of a database. A configuration without a file has no socket.

import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SOCKET_PATH_BYTES_MAX } from '../config/schema.js'
import type { Config } from '../config/types.js'
import { mountOf } from '../source/mounts.js'

export interface SocketPlace {
  readonly path: string
  /** The directory is the socket's alone: it is made with mode 0700, and has to be ours. */
  readonly privateDirectory: boolean
}

/** Best first. */
export function socketPlaces(config: Config): SocketPlace[] {
  if (config.file === undefined) return []
  if (config.socketPath !== undefined) return [{ path: config.socketPath, privateDirectory: false }]
  const name = `litestream-${hashOf(config.file)}`
  const places: SocketPlace[] = []
  const metaPath = config.databases.find((database) => database.metaPath !== undefined)?.metaPath
  if (metaPath !== undefined && !config.databases.some(({ path }) => onVolumeOf(metaPath, path))) {
    places.push({ path: join(metaPath, `${name}.sock`), privateDirectory: false })
  }
  for (const directory of temporaryDirectories()) {
    places.push({ path: join(directory, name, 'control.sock'), privateDirectory: true })
  }
  return places.filter(({ path }) => Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX)
}

const temporaryDirectories = (): string[] => [...new Set([tmpdir(), '/tmp', '/dev/shm'])]

function hashOf(file: string): string {
  return createHash('sha256').update(resolved(file)).digest('hex').slice(0, 16)
}

/** `directory` is the database's or below it, or both lie on one mount that is there for something of its own. */
function onVolumeOf(directory: string, databasePath: string): boolean {
  const [place, volume] = [resolved(directory), dirname(resolved(databasePath))]
  if (place === volume || place.startsWith(`${volume}/`)) return true
  const mountPoint = mountOf(place)?.mountPoint
  if (mountPoint === undefined || mountPoint === '/' || temporaryDirectories().includes(mountPoint)) return false
  return mountPoint === mountOf(volume)?.mountPoint
}

/** The path without symbolic links, as far as it exists. */
function resolved(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(resolved(parent), path.slice(parent.length))
  }
}
