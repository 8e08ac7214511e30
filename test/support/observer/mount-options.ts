// The flags of a mount that a user namespace may not take away when it mounts the same directory again.

const LOCKED = ['nosuid', 'nodev', 'noexec', 'noatime', 'relatime', 'nodiratime']

/** `mountinfo` as in /proc/self/mountinfo. */
export function findMountOptions(mountinfo: string, path: string): string[] {
  let best = { point: '', options: [] as string[] }
  for (const line of mountinfo.split('\n')) {
    const [, , , , point, options] = line.split(' ')
    if (point === undefined || options === undefined) continue
    const within = point === '/' || path === point || path.startsWith(`${point}/`)
    if (within && point.length >= best.point.length) best = { point, options: options.split(',') }
  }
  return best.options.filter((option) => LOCKED.includes(option))
}
