// Runs once per vitest run, in its main process, for every suite. Nothing is fetched, built or started here until a test asks
// for it; the function returned stops what was started.

import { serveResources } from './resources.js'

export default async function setup(): Promise<() => Promise<void>> {
  return serveResources()
}
