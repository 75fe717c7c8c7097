import { expect } from 'chai'
import { isSluicewayError } from 'sluiceway'

const withCode = (code: unknown): Error => Object.assign(new Error('any'), { code })

describe('isSluicewayError', () => {
  it('is true for an error with one of our codes, of whichever copy of the package', () => {
    expect(isSluicewayError(withCode('ERR_SLUICEWAY_BODY_TOO_LARGE'))).to.equal(true)
  })

  for (const [what, value] of [
    ['nothing', undefined],
    ['null', null],
    ['a string', 'ERR_SLUICEWAY_BODY_TOO_LARGE'],
    ['an object that is no error', { code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' }],
    ['an error without a code', new Error('any')],
    ['an error of the system', withCode('ENOENT')],
    ['an error whose code is the name of an inherited method', withCode('toString')],
    ['an error whose code is a number', withCode(413)],
  ] as const) {
    it(`is false for ${what}`, () => {
      expect(isSluicewayError(value)).to.equal(false)
    })
  }
})
