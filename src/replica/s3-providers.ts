// What is known of the S3-compatible stores by the host of their endpoint: name, region, and whether a conditional write
// (`If-None-Match: *`) is one. Pure. Facts about conditional writes are hints for messages: they change, so nothing relies on
// them where a store can be asked (`litestream doctor` asks).

/** `probe`: depends on the store's version, or nobody says; ask it. */
export type ConditionalWrites = 'yes' | 'no' | 'probe'

export interface Provider {
  readonly name: string
  /** On the host without port, lower case. A group, where there is one, is the region. */
  readonly pattern: RegExp
  /** Where the host does not tell it. */
  readonly region?: string
  readonly conditionalWrites: ConditionalWrites
}

/** The first match counts. */
const PROVIDERS: readonly Provider[] = [
  // s3.R, s3-R, s3-fips.R, s3.dualstack.R, also behind a bucket or a VPC endpoint, also in China
  {
    name: 'AWS S3',
    pattern: /(?:^|\.)s3(?:-fips)?(?:\.dualstack)?[.-]([a-z]{2}(?:-[a-z]+)+-\d)(?:\.vpce)?\.amazonaws\.com(?:\.cn)?$/,
    conditionalWrites: 'yes',
  },
  {
    name: 'AWS S3',
    pattern: /(?:^|\.)s3(?:-external-1)?\.amazonaws\.com$/,
    region: 'us-east-1',
    conditionalWrites: 'yes',
  },
  { name: 'Backblaze B2', pattern: /(?:^|\.)s3\.([^.]+)\.backblazeb2\.com$/, conditionalWrites: 'no' },
  {
    name: 'Cloudflare R2',
    pattern: /(?:^|\.)r2\.cloudflarestorage\.com$/,
    region: 'auto',
    conditionalWrites: 'yes',
  },
  { name: 'DigitalOcean Spaces', pattern: /(?:^|\.)([^.]+)\.digitaloceanspaces\.com$/, conditionalWrites: 'probe' },
  { name: 'Hetzner', pattern: /(?:^|\.)([^.]+)\.your-objectstorage\.com$/, conditionalWrites: 'probe' },
  { name: 'Scaleway', pattern: /(?:^|\.)s3\.([^.]+)\.scw\.cloud$/, conditionalWrites: 'probe' },
  { name: 'Linode (Akamai)', pattern: /(?:^|\.)([^.]+)\.linodeobjects\.com$/, conditionalWrites: 'probe' },
  { name: 'Wasabi', pattern: /(?:^|\.)s3\.([^.]+)\.wasabisys\.com$/, conditionalWrites: 'probe' },
  { name: 'Wasabi', pattern: /(?:^|\.)s3\.wasabisys\.com$/, region: 'us-east-1', conditionalWrites: 'probe' },
  {
    name: 'OVH',
    pattern: /(?:^|\.)s3\.([^.]+)\.(?:(?:io|perf)\.)?cloud\.ovh\.(?:net|us)$/,
    conditionalWrites: 'probe',
  },
  { name: 'Exoscale', pattern: /(?:^|\.)sos-([^.]+)\.exo\.io$/, conditionalWrites: 'probe' },
  { name: 'Vultr', pattern: /(?:^|\.)([^.]+)\.vultrobjects\.com$/, conditionalWrites: 'probe' },
  {
    name: 'IBM Cloud',
    pattern: /(?:^|\.)s3\.(?:private\.|direct\.)?([^.]+)\.cloud-object-storage\.appdomain\.cloud$/,
    conditionalWrites: 'probe',
  },
  { name: 'iDrive e2', pattern: /(?:^|\.)s3\.([^.]+)\.idrivee2\.com$/, conditionalWrites: 'probe' },
  { name: 'iDrive e2', pattern: /\.idrivee2-\d+\.com$/, conditionalWrites: 'probe' },
  {
    name: 'Tigris',
    pattern: /(?:^|\.)(?:storage\.tigris\.dev|storage\.dev)$/,
    region: 'auto',
    conditionalWrites: 'yes',
  },
  { name: 'Google Cloud Storage', pattern: /^storage\.googleapis\.com$/, region: 'auto', conditionalWrites: 'no' },
  { name: 'Filebase', pattern: /(?:^|\.)s3\.filebase\.com$/, conditionalWrites: 'probe' },
  { name: 'Supabase', pattern: /(?:^|\.)supabase\.(?:co|in)$/, conditionalWrites: 'probe' },
]

/** The provider behind an endpoint's host; AWS where there is no endpoint; undefined for one that is not known here. */
export function providerOf(endpoint: string | undefined): Provider | undefined {
  if (endpoint === undefined || endpoint === '') return PROVIDERS[0]
  const host = hostOf(endpoint)
  return PROVIDERS.find(({ pattern }) => pattern.test(host))
}

/** The region that an endpoint's host tells, or undefined. */
export function regionOfEndpoint(endpoint: string): string | undefined {
  const provider = providerOf(endpoint)
  return endpoint === '' ? undefined : (provider?.region ?? provider?.pattern.exec(hostOf(endpoint))?.[1])
}

function hostOf(endpoint: string): string {
  const withoutScheme = endpoint.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '')
  return (withoutScheme.split('/')[0] ?? '').replace(/:\d+$/, '').toLowerCase()
}
