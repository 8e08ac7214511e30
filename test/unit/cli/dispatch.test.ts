import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { VERSION } from '../../../src/version.js'
import { inProcess } from '../../support/in-process.js'
import { tempDirectory } from '../../support/temp.js'

const litestream = (args: readonly string[], env: Record<string, string> = {}, cwd = '/') =>
  inProcess(args, { env, cwd })

const failed = (error: string) => ({
  code: 1,
  stdout: '',
  stderr: expect.stringMatching(
    new RegExp(`^time=\\S+ level=ERROR msg="failed to run" error=${error.replace(/[.*+?()[\]\\|]/g, '\\$&')}\n$`),
  ),
})

describe('commands', () => {
  test('version is one bare word; other words are ignored', async () => {
    expect(await litestream(['version', 'x', '-y'])).toEqual({ code: 0, stdout: `v${VERSION}\n`, stderr: '' })
  })

  test.each([[[]], [['']], [['help']], [['help', 'wal']], [['-h']], [['--version']], [['litestream']]])(
    'overview and exit status 1 for %j, as in the original',
    async (args) => {
      const { code, stdout, stderr } = await litestream(args)
      expect([code, stderr]).toEqual([1, ''])
      expect(stdout).toMatch(/^litestream replicates SQLite/)
    },
  )

  test('unknown commands, in any spelling', async () => {
    for (const name of ['foo', 'Databases', 'toString', '__proto__']) {
      expect(await litestream([name])).toEqual(failed(`"litestream ${name}: unknown command"`))
    }
  })

  test.each(['databases', 'doctor', 'generations', 'snapshots', 'status', 'verify', 'wal', 'restore', 'replicate'])(
    '%s -h shows its usage with the effective configuration path on stdout',
    async (name) => {
      const { code, stdout, stderr } = await litestream([name, '-h'], { LITESTREAM_CONFIG: '/my.yml' })
      expect([code, stderr]).toEqual([1, ''])
      expect(stdout).toContain(`litestream ${name} [flags]`)
      expect(stdout).toContain('/my.yml')
      expect(stdout).toMatch(
        /\nExamples:\n\n(\tlitestream .+\n\t {4}.+\n)+\nExit status:\n\n\t0 {3}.+\n\t1 {3}.+\n(\t2 {3}.+\n)?$/,
      )
    },
  )

  test('a flag error: plain line, usage and failure on stderr, nothing on stdout', async () => {
    const { code, stdout, stderr } = await litestream(['wal', '-foo'])
    expect([code, stdout]).toEqual([1, ''])
    const lines = stderr.trimEnd().split('\n')
    expect(lines[0]).toBe('flag provided but not defined: -foo')
    expect(lines[1]).toMatch(/^wal lists/)
    expect(lines.at(-1)).toMatch(/level=ERROR msg="failed to run" error="flag provided but not defined: -foo"$/)
  })

  test.each([
    [['databases', 'x'], '"too many arguments"'],
    [['generations'], '"database path or replica URL required"'],
    [['snapshots'], '"database path required"'],
    [['wal'], '"database path required"'],
    [['wal', 'a', 'b'], '"too many arguments"'],
    [['wal', '-config', 'x', 's3://b'], '"cannot specify a replica URL and the -config flag"'],
    [['wal', 'a.db'], '"config file not found: /none.yml"'],
    [['wal', '-generation', 'x', 'a.db'], '"a generation is 16 lowercase hexadecimal digits, not \\\\"x\\\\""'],
    [['snapshots', 'abs://a@b/c'], '"replica type \\\\"abs\\\\" is not supported by litestream-node; use s3 or file"'],
  ])('%j', async (args, error) => {
    expect(await litestream(args, { LITESTREAM_CONFIG: '/none.yml' })).toEqual(failed(error.replaceAll('\\\\', '\\')))
  })
})

describe('with a configuration', () => {
  const yaml = `dbs:
- {path: a.db, replicas: [{path: rep}, {name: second, type: s3, bucket: b}]}
- {path: /long/path/to/b.db}
`
  function directory(text = yaml): string {
    const cwd = tempDirectory('cli')
    writeFileSync(join(cwd, 'l.yml'), text)
    return cwd
  }

  test('databases: the table in any case, each database that cannot be read on stderr, and exit status 1', async () => {
    const cwd = directory()
    const { code, stdout, stderr } = await litestream(['litestream', 'databases', '--config', 'l.yml'], {}, cwd)
    expect(code).toBe(1)
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => line.replace(/^time=\S+ /, ''))
    const missing = 'level=ERROR msg="cannot read database"'
    const paths = [join(cwd, 'a.db'), '/long/path/to/b.db']
    expect(lines).toEqual(paths.map((path) => `${missing} db=${path} error="there is no such file"`))
    const width = join(cwd, 'a.db').length + 2
    const rows = [
      ['path', 'replicas'],
      [join(cwd, 'a.db'), 'file,second'],
      ['/long/path/to/b.db', ''],
    ]
    expect(stdout).toBe(rows.map(([path, names]) => `${path!.padEnd(width)}${names}\n`).join(''))
  })

  test('what is not there', async () => {
    const cwd = directory()
    const config = ['-config', 'l.yml']
    expect(await litestream(['wal', ...config, 'x.db'], {}, cwd)).toEqual(
      failed(`"database not found in config: ${cwd}/x.db"`),
    )
    expect(await litestream(['wal', ...config, '-replica', 'x', 'a.db'], {}, cwd)).toEqual(
      failed(`"replica \\"x\\" not found for database \\"${cwd}/a.db\\""`),
    )
    expect(await litestream(['generations', ...config, 'a.db'], {}, cwd)).toEqual(
      failed(`"stat ${cwd}/a.db: no such file or directory; a replica's URL lists without it"`),
    )
  })

  test('every problem of a configuration has a line of its own', async () => {
    const { code, stdout, stderr } = await litestream(['databases', '-config', 'l.yml'], {}, directory('a: 1\nb: 2'))
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr.match(/error="[^"]*l\.yml:\d: unknown key/g)).toHaveLength(2)
  })
})

describe('under the litestream gem (LITESTREAM_INSTALL_DIR is set)', () => {
  const env = { LITESTREAM_INSTALL_DIR: '/usr/local/lib/litestream' }

  test.each(['databases', 'generations', 'snapshots', 'wal'])(
    '%s: a failure is also the one table that it raises for, in a single cell',
    async (name) => {
      const operands = name === 'databases' ? [] : ['storage/production.sqlite3']
      const { code, stdout, stderr } = await litestream([name, '-config', '/no such file', ...operands], env)
      expect(code).toBe(1)
      expect(stdout).toBe('level error\nERROR config\u00a0file\u00a0not\u00a0found:\u00a0/no\u00a0such\u00a0file\n')
      expect(stderr).toContain('config file not found: /no such file')
    },
  )

  test('several problems of a configuration are one row', async () => {
    const path = join(tempDirectory('gem'), 'litestream.yml')
    writeFileSync(path, 'dbs: [{path: a.db, nonsense: 1, replicas: [{path: /r, other: 2}]}]')
    const { stdout } = await litestream(['databases', '-config', path], env)
    expect(stdout.split('\n')).toHaveLength(3)
    expect(stdout).toMatch(/^level error\nERROR [^ \n]*nonsense[^ \n]*;\u00a0[^ \n]*other[^ \n]*\n$/)
  })

  test('other commands, and other callers, see nothing of it', async () => {
    expect((await litestream(['restore', '-config', '/nowhere', 'a.db'], env)).stdout).toBe('')
    expect((await litestream(['databases', '-config', '/nowhere'])).stdout).toBe('')
    expect((await litestream(['databases', '-config', '/nowhere'], { LITESTREAM_INSTALL_DIR: '' })).stdout).toBe('')
  })
})
