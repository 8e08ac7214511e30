// Go's flag syntax against a small model that is written from the other side: it builds command lines from what they mean.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { booleanFlag, parseArgs, stringFlag } from '../../src/cli/args.js'

const FLAGS = {
  config: stringFlag(),
  replica: stringFlag(),
  o: stringFlag('d'),
  quiet: booleanFlag(),
  force: booleanFlag(),
}
type Name = keyof typeof FLAGS

interface Piece {
  readonly words: readonly string[]
  readonly name: Name
  readonly value: string | boolean
}

const dashes = fc.constantFrom('-', '--')
const anyText = fc.oneof(fc.string(), fc.constantFrom('', '-', '--', '-o', '--config', '=', 'a=b', 'true'))

const textPiece: fc.Arbitrary<Piece> = fc
  .tuple(dashes, fc.constantFrom<Name>('config', 'replica', 'o'), anyText, fc.boolean())
  .map(([dash, name, value, joined]) => ({
    words: joined ? [`${dash}${name}=${value}`] : [`${dash}${name}`, value],
    name,
    value,
  }))

const spelled = {
  true: ['', '=1', '=t', '=T', '=TRUE', '=true', '=True'],
  false: ['=0', '=f', '=F', '=FALSE', '=false', '=False'],
}
const booleanPiece: fc.Arbitrary<Piece> = fc
  .tuple(dashes, fc.constantFrom<Name>('quiet', 'force'), fc.boolean())
  .chain(([dash, name, value]) =>
    fc.constantFrom(...spelled[`${value}`]).map((suffix) => ({ words: [`${dash}${name}${suffix}`], name, value })),
  )

const operand = anyText.filter((word) => word.length < 2 || !word.startsWith('-'))
/** What stands behind the flags: nothing, an operand and then anything, or `--` and then anything. */
const rest = fc.oneof(
  fc.constant({ words: [] as string[], operands: [] as string[] }),
  fc
    .tuple(operand, fc.array(anyText))
    .map(([first, more]) => ({ words: [first, ...more], operands: [first, ...more] })),
  fc.array(anyText).map((more) => ({ words: ['--', ...more], operands: more })),
)

test('what a command line says is what is read, the last of each flag winning', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(textPiece, booleanPiece)), rest, (pieces, tail) => {
      const expected: Record<Name, string | boolean> = { config: '', replica: '', o: 'd', quiet: false, force: false }
      for (const { name, value } of pieces) expected[name] = value
      const parsed = parseArgs([...pieces.flatMap(({ words }) => words), ...tail.words], FLAGS)
      expect(parsed).toEqual({ flags: expected, operands: tail.operands })
    }),
  )
})

test('any words at all give flags and operands, help, or a usage error', () => {
  const words = fc.array(fc.oneof(anyText, fc.string({ unit: fc.constantFrom(...'-=ohquiet') })))
  fc.assert(
    fc.property(words, (args) => {
      try {
        const parsed = parseArgs(args, FLAGS)
        if (parsed) expect(args.slice(args.length - parsed.operands.length)).toEqual(parsed.operands)
      } catch (error) {
        expect(error).toMatchObject({ name: 'LitestreamError', code: 'USAGE' })
      }
    }),
  )
})
