import { expect } from 'chai'
import { closeServers } from '../../support/servers/servers.js'
import { TYPE, part, END, posted } from './multipart-forms.js'

describe('req.bodyCache.formData() of a multipart form that is refused', () => {
  afterEach(closeServers)

  const whole = part('form-data; name="a"') + END
  for (const [title, form, type, reason] of [
    [
      'without a boundary in Content-Type',
      whole,
      'multipart/form-data',
      'its Content-Type names no boundary',
    ],
    ['with an empty boundary', whole, 'multipart/form-data; boundary=', 'its Content-Type names no boundary'],
    ['with two boundaries', whole, `${TYPE}; boundary=yy`, 'its Content-Type is not that of a form'],
    [
      'with an open quote in Content-Type',
      whole,
      'multipart/form-data; boundary="xx',
      'its Content-Type is not that of a form',
    ],
    [
      'with a boundary of 71 characters',
      whole,
      `multipart/form-data; boundary=${'x'.repeat(71)}`,
      'its boundary has more than 70 characters',
    ],
    [
      'of another boundary',
      whole.replaceAll('xx', 'yy'),
      TYPE,
      'the boundary of its Content-Type is not in it',
    ],
    ['that is empty', '', TYPE, 'the boundary of its Content-Type is not in it'],
    ['cut short in a head', '--xx\r\nContent-Disp', TYPE, 'it ends in the head of a part'],
    ['cut short after a boundary', '--xx\r\n', TYPE, 'it ends in the head of a part'],
    ['cut short in a part', whole.slice(0, 55), TYPE, 'it ends before its last boundary'],
    ['without its last boundary', whole.replace('xx--', ''), TYPE, 'it ends before its last boundary'],
    [
      'cut short in its last boundary',
      whole.slice(0, -4),
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    [
      'with a line that begins like its boundary',
      part('form-data; name="a"', '12\r\n--xxy\r\n34') + END,
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    [
      'with a line that is its boundary and one dash',
      part('form-data; name="a"', '12\r\n--xx-\r\n34') + END,
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    [
      'with a line that is its boundary, one dash and more',
      part('form-data; name="a"', '12\r\n--xx-y\r\n34') + END,
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    [
      'with a line that is its boundary, more and one dash',
      part('form-data; name="a"', '12\r\n--xxy-\r\n34') + END,
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    [
      'with a CR alone behind its boundary',
      `--xx\rx${part('form-data; name="a"').slice(6)}${END}`,
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    [
      'with an LF alone behind its boundary and more',
      `--xxx\n${part('form-data; name="a"').slice(6)}${END}`,
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    [
      'cut short in a head after 16 KB of it',
      `--xx\r\n${'x'.repeat(16_384)}`,
      TYPE,
      'it ends in the head of a part',
    ],
    [
      'cut short in the head behind a large part',
      `${part('form-data; name="a"', 'x'.repeat(17_000))}--xx\r\nContent-Disp`,
      TYPE,
      'it ends in the head of a part',
    ],
    [
      'with a CR and more before its first boundary',
      `\rx${whole}`,
      TYPE,
      'its first boundary does not begin a line',
    ],
    [
      'with a line that begins like its last boundary',
      part('form-data; name="a"', '12\r\n--xx--y\r\n34') + END,
      TYPE,
      'a line begins with its boundary and goes on',
    ],
    ['whose part has no name', part('form-data') + END, TYPE, 'a part has no name'],
    ['whose part has two names', part('form-data; name="a"; name="b"') + END, TYPE, 'a part has no name'],
    [
      'whose part has an open quote',
      part('form-data; name="a"; filename="x') + END,
      TYPE,
      'a part has no name',
    ],
    ['whose part is not form-data', part('attachment; name="a"') + END, TYPE, 'a part has no name'],
    ['whose part has no disposition', `--xx\r\nX: y\r\n\r\n1\r\n${END}`, TYPE, 'a part has no name'],
    ['whose part has no head', `--xx\r\n\r\n1\r\n${END}`, TYPE, 'a part has no name'],
    [
      'whose part has two dispositions',
      part('form-data; name="a"\r\nContent-Disposition: form-data; name="b"') + END,
      TYPE,
      'the head of a part is malformed',
    ],
    [
      'with a line in a head that has no colon',
      part('form-data; name="a"\r\nnonsense') + END,
      TYPE,
      'the head of a part is malformed',
    ],
    [
      'with a bare line end in a head',
      part('form-data; name="a"; filename="x\ny"') + END,
      TYPE,
      'the head of a part is malformed',
    ],
    ['with a zero in a head', part('form-data; name="a\0"') + END, TYPE, 'the head of a part is malformed'],
    [
      'with a head of 16 KB',
      part(`form-data; name="a"; filename="${'x'.repeat(16_400)}"`) + END,
      TYPE,
      'the head of a part is larger than 16384 bytes',
    ],
    [
      'with 101 parameters',
      part(`form-data; name="a"${'; b'.repeat(101)}`) + END,
      TYPE,
      'a part has no name',
    ],
    [
      'without a semicolon between parameters',
      part('form-data; name="a" filename="x"') + END,
      TYPE,
      'a part has no name',
    ],
    [
      'with a line end of one character before it',
      `\n${whole}`,
      TYPE,
      'its first boundary does not begin a line',
    ],
    [
      'with its boundary within a line of the preamble',
      `- ${whole}${whole}`,
      TYPE,
      'its first boundary does not begin a line',
    ],
    [
      'with filename* without a charset',
      part('form-data; name="a"; filename*=x') + END,
      TYPE,
      'a filename* names no charset',
    ],
    [
      'with line ends of one character',
      whole.replaceAll('\r', ''),
      TYPE,
      'a line begins with its boundary and goes on',
    ],
  ] as const) {
    it(`refuses a form ${title}`, async () => {
      expect(await posted(form, type)).to.deep.equal({
        status: 400,
        entries: `request body is not a well-formed form: ${reason}`,
      })
    })
  }

  it('accepts a head of exactly 16 KB', async () => {
    const head = 'Content-Disposition: form-data; name="'.length + '"'.length
    const name = 'x'.repeat(16 * 1024 - head)
    expect((await posted(part(`form-data; name="${name}"`) + END)).status).to.equal(200)
    expect((await posted(part(`form-data; name="${name}x"`) + END)).status).to.equal(400)
  })

  it('answers a field in an unknown charset with 415', async () => {
    const form = part('form-data; name="a"', '1', 'text/plain; charset=klingon') + END
    expect(await posted(form)).to.deep.equal({ status: 415, entries: 'unsupported charset "klingon"' })
  })
})
