// Loads a script of dist/bundle/ together with what V8 made of it when the package was built: its code is not compiled again then. Part of
// the bundle (build/bundle.mjs); build/warm.mjs writes the caches. Nothing is ever written here.
//
//   NAME.cjs.cache    bytes 0-31   SHA-256 of the runtime's name (below), the script and the rest of this file
//                     32-          V8's cached data
//
// V8 tells one script from another by its length alone and does not look whether its data are whole; so the digest has to. Anything that
// is not to the bit what was written for this script by the same Node on the same kind of machine is not there, and costs time only.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Module from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'

const DIGEST_BYTES = 32

/** By path: script, exports, and whether V8 took the cache. */
export const loaded = new Map()

/** The exports of a CommonJS script; what it requires beside itself is loaded in the same way. */
export function loadScript(url) {
  const path = fileURLToPath(url)
  const known = loaded.get(path)
  if (known) return known.module.exports
  const source = readFileSync(path, 'utf8')
  const cachedData = readCache(path, source)
  const script = new Script(Module.wrap(source), { filename: path, cachedData })
  const module = { exports: {} }
  loaded.set(path, { script, module, isCached: cachedData !== undefined && !script.cachedDataRejected })
  const require = Module.createRequire(path)
  const load = (id) => (id.startsWith('./') ? loadScript(new URL(id, url)) : require(id))
  script.runInThisContext()(module.exports, load, module, path, dirname(path))
  return module.exports
}

export function cachePath(path) {
  return `${path}.cache`
}

/** The file's content. */
export function encodeCache(source, data) {
  return Buffer.concat([digestOf(source, data), data])
}

function readCache(path, source) {
  let bytes
  try {
    bytes = readFileSync(cachePath(path))
  } catch {
    return undefined
  }
  const data = bytes.subarray(DIGEST_BYTES)
  return digestOf(source, data).equals(bytes.subarray(0, DIGEST_BYTES)) ? data : undefined
}

function digestOf(source, data) {
  const { arch, platform, version, versions } = process
  const runtime = JSON.stringify([platform, arch, version, versions.v8])
  return createHash('sha256').update(`${runtime}\n${source.length}\n`).update(source).update(data).digest()
}
