// Entry of `npm run simulate`: lets Node run the TypeScript of the simulator, then hands over to long-run.ts.

import { register } from 'node:module'

register('../../bench/typescript-loader.mjs', import.meta.url)
await import('./long-run.ts')
