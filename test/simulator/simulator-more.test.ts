// The second half of the simulator's seeds, at the same time as the first one (simulator.test.ts) where there are two processors.

import { testSeeds } from './seeds.js'

testSeeds(1)
