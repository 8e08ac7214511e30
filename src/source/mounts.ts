// What /proc/self/mountinfo says about a path: whether it is a mount point of its own (a bind mount of a single file hides the
// `-wal` beside the original), and whether it lies on a network file system, where SQLite's locks and shared memory cannot be
// trusted. Format: proc_pid_mountinfo(5).

import { readFileSync } from 'node:fs'

const NETWORK =
  /^(nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|glusterfs|lustre|gpfs|fuse\.(sshfs|glusterfs|s3fs|rclone|juicefs))$/

export interface Mount {
  readonly mountPoint: string
  readonly type: string
  readonly network: boolean
}

/** The mount that holds the absolute, resolved `path`; undefined when `mountinfo` has no such mount. */
export function findMount(mountinfo: string, path: string): Mount | undefined {
  let best: Mount | undefined
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ')
    const escaped = before?.split(' ')[4]
    const type = after?.split(' ')[0]
    if (escaped === undefined || type === undefined) continue
    const mountPoint = escaped.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    const within = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`)
    // A later line of the same mount point covers an earlier one.
    if (within && mountPoint.length >= (best?.mountPoint.length ?? 0)) {
      best = { mountPoint, type, network: NETWORK.test(type) }
    }
  }
  return best
}

/** Undefined where the system does not tell. */
export function mountOf(path: string): Mount | undefined {
  try {
    return findMount(readFileSync('/proc/self/mountinfo', 'utf8'), path)
  } catch {
    return undefined
  }
}
