// The configuration after parsing, defaults applied, paths expanded: what the rest of the program works with.
// All durations are milliseconds; 0 turns off what the original turns off with 0.

export interface Config {
  /** Where it was read from; absent for a configuration built from command-line URLs. */
  readonly file?: string | undefined
  readonly addr: string
  readonly exec: string
  readonly logging: LoggingConfig
  /** `socket.path` (ours), absolute; absent: a place derived from the configuration's path. */
  readonly socketPath?: string | undefined
  readonly databases: readonly DatabaseConfig[]
}

export interface LoggingConfig {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly type: 'text' | 'json'
  readonly stderr: boolean
}

export interface DatabaseConfig {
  /** Absolute. */
  readonly path: string
  readonly metaPath?: string | undefined
  readonly monitorIntervalMs: number
  readonly checkpointIntervalMs: number
  readonly minCheckpointPageCount: number
  readonly maxCheckpointPageCount: number
  /** `max-wal-size` (ours): a WAL of this size is given every chance to restart, however fast it grows. */
  readonly maxWalBytes: number
  /** `max-spool-size` (ours): so much may wait on disk for a replica that cannot be reached. */
  readonly maxSpoolBytes: number
  /** `allow-checkpoint` (ours): run PASSIVE checkpoints for an application that never does. */
  readonly allowCheckpoint: boolean
  /** `heal` (ours): after lost continuity ship what differs instead of a new generation. */
  readonly heal: boolean
  readonly replicas: readonly ReplicaConfig[]
}

interface ReplicaConfigBase {
  readonly name: string
  readonly syncIntervalMs: number
  readonly snapshotIntervalMs: number
  readonly retentionMs: number
  readonly retentionCheckIntervalMs: number
  readonly validationIntervalMs: number
  /** `max-behind` (ours): a replica that lacks a change for longer is unhealthy. */
  readonly maxBehindMs: number
  /** `on-conflict` (ours): what to do when another writer goes on with this replica's generation. */
  readonly onConflict: 'new-generation' | 'stand-by'
  /** `take-over-after` (ours): when standing by, so long a silence of the other writer means that it is gone. */
  readonly takeOverAfterMs: number
}

export interface FileReplicaConfig extends ReplicaConfigBase {
  readonly type: 'file'
  /** Absolute directory. */
  readonly path: string
}

export interface S3ReplicaConfig extends ReplicaConfigBase {
  readonly type: 's3'
  readonly bucket: string
  /** Key prefix without leading or trailing slash; empty for the bucket's root. */
  readonly path: string
  /** Empty: derived from the endpoint's host, else looked up. */
  readonly region: string
  /** Empty: AWS. */
  readonly endpoint: string
  readonly forcePathStyle: boolean
  readonly skipVerify: boolean
  /** Empty with an empty secret: the AWS SDK's default chain. */
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export type ReplicaConfig = FileReplicaConfig | S3ReplicaConfig
