// The proxy between this machine and a store: which variable of the environment names it, and whether this Node can use it. Node's own
// agents do the work, from 24.5 and 22.21 on; older ones cannot, and then whoever starts something is told.

type Environment = Readonly<Record<string, string | undefined>>

/** `version` as in `process.versions.node`. */
export function canUseProxies(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)
}

/** The name of the variable that says through which proxy `url` is reached; undefined for the direct way. */
export function proxyVariable(url: URL, env: Environment): string | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const found = [name.toLowerCase(), name].find((one) => env[one])
  if (found === undefined || isExempt(url, env.no_proxy || env.NO_PROXY || '')) return undefined
  return found
}

/** What to say of a proxy that is named and cannot be used; undefined when there is nothing to say. */
export function proxyNote(url: URL, env: Environment, version: string): string | undefined {
  const name = proxyVariable(url, env)
  if (name === undefined || canUseProxies(version)) return undefined
  return `${name} is set, but Node ${version} cannot use a proxy: requests to ${url.host} go out directly; take Node 24.5 or later (or 22.21)`
}

/** What Node's agents want to know. */
export function proxyOptions(env: Environment): { readonly proxyEnv?: Environment } {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()])
  const proxyEnv = Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
  return Object.keys(proxyEnv).length === 0 ? {} : { proxyEnv }
}

/** Hosts, with a port or without, `.example.com` or `*.example.com` for everything below it, `*` for everything. */
function isExempt({ hostname, port, protocol }: URL, list: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase()
  const withPort = `${host}:${port || (protocol === 'https:' ? 443 : 80)}`
  const entries = list.toLowerCase().split(',')
  return entries
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*' || entry === host || entry === withPort) return true
      const suffix = entry.replace(/^\*/, '')
      return suffix.startsWith('.') && (host.endsWith(suffix) || host === suffix.slice(1))
    })
}
