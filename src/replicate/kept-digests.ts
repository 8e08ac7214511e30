// What is known of a replica over a restart: taken over at the start where it fits the newest object, kept at a graceful stop. Neither
// may keep replication from going on: what does not work is said, and a generation may have to begin anew.

import type { Logger } from '../logger.js'
import { type DigestFile, misfit } from './digest-file.js'
import type { ReplicaDigests } from './digests.js'
import type { ResumePoint } from './resume-point.js'

export async function takeKeptDigests(
  digests: ReplicaDigests,
  file: DigestFile,
  resume: ResumePoint | undefined,
  log: Logger,
): Promise<void> {
  try {
    const kept = await file.read()
    if (!kept) return
    const reason = resume ? misfit(kept, resume.generation, resume.provenance) : 'no generation exists'
    if (reason === undefined) return await digests.adopt(kept.pages, kept.at)
    kept.pages.release()
    log.info('page digests that were kept do not fit', { reason })
  } catch (error) {
    log.warn('page digests that were kept cannot be used', { error })
  }
}

export async function keepDigests(digests: ReplicaDigests, file: DigestFile, log: Logger): Promise<void> {
  const { known } = digests
  if (!known) return
  try {
    await file.keep(known)
  } catch (error) {
    log.warn('page digests cannot be kept; the next start may begin a new generation', { error })
  }
}
