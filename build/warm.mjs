// node build/warm.mjs [DIST], the end of build/bundle.mjs: what V8 makes of the bundle's scripts, beside them (build/code-cache.js). It runs
// a list command once, against a store that is made here, because a function is compiled when it is first called and only then comes along.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const dist = process.argv[2] ?? fileURLToPath(new URL('../dist', import.meta.url))
const { loaded, cachePath, encodeCache } = await import(pathToFileURL(join(dist, 'bundle/code-cache.js')))

const GENERATION = '0123456789abcdef'
const listing = (inner) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>` +
  `<KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>${inner}</ListBucketResult>`
const GENERATIONS = listing(
  `<Prefix>generations/</Prefix><Delimiter>/</Delimiter><CommonPrefixes><Prefix>generations/${GENERATION}/</Prefix></CommonPrefixes>`,
)
const SNAPSHOTS = listing(
  `<Prefix>generations/${GENERATION}/snapshots/</Prefix><Contents><Key>generations/${GENERATION}/snapshots/00000000.snapshot.lz4</Key>` +
    '<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>',
)

const server = createServer((request, response) => {
  const query = new URL(request.url, 'http://store').searchParams
  response.setHeader('content-type', 'application/xml')
  response.end(query.has('delimiter') ? GENERATIONS : SNAPSHOTS)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const folder = mkdtempSync(join(tmpdir(), 'litestream-warm-'))
try {
  const config = join(folder, 'litestream.yml')
  writeFileSync(
    config,
    [
      'dbs:',
      '  - path: /data/app.db',
      '    replicas:',
      '      - type: s3',
      '        bucket: bucket',
      `        endpoint: http://127.0.0.1:${server.address().port}`,
      '        region: us-east-1',
      '        force-path-style: true',
      '        access-key-id: key',
      '        secret-access-key: secret',
      '',
    ].join('\n'),
  )
  const printed = await list(config)
  if (!printed.includes(GENERATION)) throw new Error(`the list to warm up with failed:\n${printed}`)
  for (const [path, { script }] of loaded) {
    writeFileSync(cachePath(path), encodeCache(readFileSync(path, 'utf8'), script.createCachedData()))
  }
} finally {
  server.close()
  server.closeAllConnections()
  rmSync(folder, { recursive: true })
}

/** What the command printed. It is the program itself: its words and its output are this process's. */
async function list(config) {
  let printed = ''
  const { write } = process.stdout
  const { argv } = process
  process.stdout.write = (text) => {
    printed += text
    return true
  }
  process.argv = [...argv.slice(0, 2), 'snapshots', '-config', config, '/data/app.db']
  try {
    await import(pathToFileURL(join(dist, 'cli/main.js')))
  } finally {
    process.stdout.write = write
    process.argv = argv
  }
  return printed
}
