// What the host names of S3-compatible stores tell: the bucket and endpoint behind a bucket's host, and the region of an
// endpoint. Pure; nothing is looked up. Hosts that are not known here work too, with a region that is given or `us-east-1`.

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

/** Regions of endpoints, with or without a bucket in front. The first match counts; one group holds the region. */
const ENDPOINT_REGIONS: readonly { readonly pattern: RegExp; readonly region?: string }[] = [
  // AWS: s3.R, s3-R, s3-fips.R, s3.dualstack.R, also behind a bucket or a VPC endpoint, also in China
  { pattern: /(?:^|\.)s3(?:-fips)?(?:\.dualstack)?[.-]([a-z]{2}(?:-[a-z]+)+-\d)(?:\.vpce)?\.amazonaws\.com(?:\.cn)?$/ },
  { pattern: /(?:^|\.)s3(?:-external-1)?\.amazonaws\.com$/, region: 'us-east-1' },
  { pattern: /(?:^|\.)s3\.([^.]+)\.backblazeb2\.com$/ },
  { pattern: /(?:^|\.)r2\.cloudflarestorage\.com$/, region: 'auto' },
  { pattern: /(?:^|\.)([^.]+)\.digitaloceanspaces\.com$/ },
  { pattern: /(?:^|\.)([^.]+)\.your-objectstorage\.com$/ }, // Hetzner
  { pattern: /(?:^|\.)s3\.([^.]+)\.scw\.cloud$/ }, // Scaleway
  { pattern: /(?:^|\.)([^.]+)\.linodeobjects\.com$/ },
  { pattern: /(?:^|\.)s3\.([^.]+)\.wasabisys\.com$/ },
  { pattern: /(?:^|\.)s3\.([^.]+)\.(?:io|perf)\.cloud\.ovh\.(?:net|us)$/ },
  { pattern: /(?:^|\.)sos-([^.]+)\.exo\.io$/ }, // Exoscale
  { pattern: /(?:^|\.)([^.]+)\.vultrobjects\.com$/ },
  { pattern: /(?:^|\.)s3\.(?:private\.|direct\.)?([^.]+)\.cloud-object-storage\.appdomain\.cloud$/ }, // IBM
  { pattern: /(?:^|\.)(?:storage\.tigris\.dev|storage\.dev)$/, region: 'auto' }, // Tigris
  { pattern: /^storage\.googleapis\.com$/, region: 'auto' },
]

/** The region that an endpoint's host tells, or undefined. */
export function regionOfEndpoint(endpoint: string): string | undefined {
  const host = hostOf(endpoint)
  for (const { pattern, region } of ENDPOINT_REGIONS) {
    const match = pattern.exec(host)
    if (match) return region ?? match[1]
  }
  return undefined
}

function hostOf(endpoint: string): string {
  const withoutScheme = endpoint.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '')
  return (withoutScheme.split('/')[0] ?? '').replace(/:\d+$/, '').toLowerCase()
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

/** HTTPS where no scheme is given; no slash at the end. */
function normalEndpoint(endpoint: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`
  return url.replace(/\/+$/, '')
}
