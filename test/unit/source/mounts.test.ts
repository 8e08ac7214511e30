// Which mount holds a path, from texts like /proc/self/mountinfo.

import { expect, test } from 'vitest'
import { findMount, mountOf } from '../../../src/source/mounts.js'

const line = (mountPoint: string, type: string, optional = 'shared:1 ') =>
  `36 35 98:0 / ${mountPoint} rw,noatime ${optional}- ${type} /dev/some rw,errors=continue`

const table = [
  line('/', 'overlay'),
  line('/data', 'ext4', ''),
  line('/data/nfs', 'nfs4'),
  line('/data/with\\040space', 'xfs'),
  line('/data/app.db', 'ext4'),
  line('/twice', 'nfs4'),
  line('/twice', 'tmpfs'),
  '',
].join('\n')

test.for<[string, string, string, boolean]>([
  ['/etc/x.db', '/', 'overlay', false],
  ['/data/x.db', '/data', 'ext4', false],
  ['/database/x.db', '/', 'overlay', false],
  ['/data/nfs/deep/x.db', '/data/nfs', 'nfs4', true],
  ['/data/nfsx/x.db', '/data', 'ext4', false],
  ['/data/with space/x.db', '/data/with space', 'xfs', false],
  ['/data/app.db', '/data/app.db', 'ext4', false],
  ['/twice/x.db', '/twice', 'tmpfs', false],
])('%s is on %s', ([path, mountPoint, type, network]) => {
  expect(findMount(table, path)).toEqual({ mountPoint, type, network })
})

test('network file systems are told', () => {
  const networks = ['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'ceph', 'fuse.sshfs', 'fuse.s3fs']
  const locals = ['ext4', 'xfs', 'btrfs', 'zfs', 'overlay', 'tmpfs', 'virtiofs', 'fuse.gcsfuse2']
  const network = (type: string) => findMount(line('/', type), '/x')?.network
  expect(networks.filter((type) => !network(type))).toEqual([])
  expect(locals.filter((type) => network(type))).toEqual([])
})

test('a table without the mount, and the real one', () => {
  expect(findMount('', '/x')).toBeUndefined()
  expect(findMount('not a table\n', '/x')).toBeUndefined()
  expect(mountOf('/')).toMatchObject({ mountPoint: '/' })
})
