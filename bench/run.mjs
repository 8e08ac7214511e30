// Entry of `npm run bench`: lets Node run the TypeScript of bench/ and test/support, then hands over to main.ts.

import { register } from 'node:module'

register('./typescript-loader.mjs', import.meta.url)
await import('./main.ts')
