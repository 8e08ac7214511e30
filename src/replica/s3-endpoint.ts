// Where a replica's requests go: the bucket and endpoint behind a bucket's host, addressing, region (see s3-providers for what
// hosts tell). Pure; nothing is looked up. Hosts that are not known here work too, with a region that is given or `us-east-1`.

import { regionOfEndpoint } from './s3-providers.js'

/** What the host of an `s3://host/path` URL stands for. Empty text: not told. */
export interface BucketHost {
  readonly bucket: string
  readonly region: string
  readonly endpoint: string
  readonly forcePathStyle: boolean
}

/** The hosts that Litestream 0.3 takes apart. `B` is the bucket, `R` the region, a port goes on to the endpoint. */
const BUCKET_HOSTS: readonly {
  readonly pattern: RegExp
  readonly endpoint: (region: string) => string
  readonly region?: string
}[] = [
  // B.localhost[:port]
  { pattern: /^(?<bucket>.+)\.localhost$/, endpoint: () => 'http://localhost', region: 'us-east-1' },
  // B.s3.R.backblazeb2.com
  {
    pattern: /^(?<bucket>.+)\.s3\.(?<region>[^.]+)\.backblazeb2\.com$/,
    endpoint: (region) => `https://s3.${region}.backblazeb2.com`,
  },
  // B.s3.filebase.com
  { pattern: /^(?<bucket>.+)\.s3\.filebase\.com$/, endpoint: () => 'https://s3.filebase.com' },
  // B.R.digitaloceanspaces.com
  {
    pattern: /^(?<bucket>.+)\.(?<region>[^.]+)\.digitaloceanspaces\.com$/,
    endpoint: (region) => `https://${region}.digitaloceanspaces.com`,
  },
  // B.s3.R.scw.cloud
  {
    pattern: /^(?<bucket>.+)\.s3\.(?<region>[^.]+)\.scw\.cloud$/,
    endpoint: (region) => `https://s3.${region}.scw.cloud`,
  },
  // B.R.linodeobjects.com
  {
    pattern: /^(?<bucket>.+)\.(?<region>[^.]+)\.linodeobjects\.com$/,
    endpoint: (region) => `https://${region}.linodeobjects.com`,
  },
]

/** Any other host is the name of a bucket, its port dropped, as the original does. */
export function parseBucketHost(host: string): BucketHost {
  const port = /:\d+$/.exec(host)?.[0] ?? ''
  const name = port === '' ? host : host.slice(0, -port.length)
  for (const { pattern, endpoint, region: fixedRegion } of BUCKET_HOSTS) {
    const groups = pattern.exec(name)?.groups
    if (!groups) continue
    const region = groups.region ?? fixedRegion ?? ''
    return { bucket: groups.bucket ?? '', region, endpoint: endpoint(region) + port, forcePathStyle: true }
  }
  return { bucket: name, region: '', endpoint: '', forcePathStyle: false }
}

/** Where a replica's objects go, as far as it can be told without asking anybody. */
export interface S3Place {
  readonly bucket: string
  /** Empty, or ending with `/`. */
  readonly keyPrefix: string
  /** Undefined: AWS, by region. */
  readonly endpoint: string | undefined
  /** Undefined: ask AWS for the bucket's region. */
  readonly region: string | undefined
  readonly forcePathStyle: boolean
}

export interface S3PlaceOptions {
  readonly bucket: string
  readonly path?: string | undefined
  readonly region?: string | undefined
  readonly endpoint?: string | undefined
  /** With an endpoint true by default, without one false. */
  readonly forcePathStyle?: boolean | undefined
}

export function placeOf({ bucket, path = '', region = '', endpoint = '', forcePathStyle }: S3PlaceOptions): S3Place {
  const trimmed = path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
  const url = endpoint === '' ? undefined : normalEndpoint(endpoint)
  return {
    bucket,
    keyPrefix: trimmed === '' ? '' : `${trimmed}/`,
    endpoint: url,
    region: region || (url && (regionOfEndpoint(url) ?? 'us-east-1')) || undefined,
    // A bucket with dots fits no certificate of a virtual host.
    forcePathStyle: forcePathStyle || (forcePathStyle === undefined && url !== undefined) || bucket.includes('.'),
  }
}

/** Who is asked, as far as it is known without asking: the host of the endpoint, or of the bucket. Of AWS without a region: the one that
 * knows every bucket's. */
export function serverOf({ endpoint, region, bucket, forcePathStyle }: S3Place): URL {
  const url = new URL(endpoint ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`)
  if (!forcePathStyle) url.hostname = `${bucket}.${url.hostname}`
  return url
}

/** HTTPS where no scheme is given; no slash at the end. */
function normalEndpoint(endpoint: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`
  return url.replace(/\/+$/, '')
}
