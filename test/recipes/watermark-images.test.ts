import zlib from 'node:zlib'
import { expect } from 'chai'
import type { RawClient } from '../support/clients/raw-client.js'
import { answer } from '../support/servers/scripted-upstream.js'
import { proxiedRecipe } from './proxied-recipe.js'

function chunk(name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(zlib.crc32(named))
  return Buffer.concat([length, named, sum])
}

/** A PNG whose pixels all have this value; every filter of the format takes its turn. */
function png(width: number, height: number, channels: 3 | 4, value: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, channels === 3 ? 2 : 6, 0, 0, 0], 8)
  const lines = Array.from({ length: height }, (_, y) =>
    filtered(y % 5, y, width * channels, channels, value),
  )
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('gAMA', Buffer.from([0, 1, 0, 0])),
    chunk('IDAT', zlib.deflateSync(Buffer.concat(lines)).subarray(0, 10)),
    chunk('IDAT', zlib.deflateSync(Buffer.concat(lines)).subarray(10)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** One line, in which each byte is the difference from what its filter guesses. */
function filtered(filter: number, y: number, stride: number, channels: number, value: number): Buffer {
  return Buffer.from([
    filter,
    ...Array.from({ length: stride }, (_, x) => {
      const left = x < channels ? 0 : value
      const up = y === 0 ? 0 : value
      const guess = [0, left, up, (left + up) >> 1, left || up][filter] as number
      return (value - guess) & 0xff
    }),
  ])
}

/** The pixels of an image that has no filters, as the recipe writes it. */
function pixelsOf(image: Buffer): Buffer[] {
  const at = image.indexOf('IDAT')
  const lines = zlib.inflateSync(image.subarray(at + 4, at + 4 + image.readUInt32BE(at - 4)))
  const stride = lines.length / image.readUInt32BE(20)
  return Array.from({ length: image.readUInt32BE(20) }, (_, y) =>
    lines.subarray(y * stride + 1, (y + 1) * stride),
  )
}

describe('recipe: a watermark on images', () => {
  const recipe = proxiedRecipe(async () => import('../../.recipes/watermark-images.js'))

  function send(connection: RawClient, body: Buffer): void {
    const head = `HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: ${body.length}\r\nETag: "a"\r\nConnection: close\r\n\r\n`
    connection.write(head, body)
  }

  for (const channels of [3, 4] as const) {
    it(`puts it into the corner of a preview, of ${channels} channels`, async () => {
      recipe.client.request('GET', '/previews/a.png', { Range: 'bytes=0-9' })
      const connection = await recipe.upstream.connection()
      expect(await connection.untilText('\r\n\r\n')).not.to.match(/^range/im)
      send(connection, png(8, 10, channels, 0x40))
      const { headers, body } = await recipe.client.response()
      expect(headers['content-length']).to.deep.equal([String(body.length)])
      expect(headers).not.to.have.property('etag')
      const dots = pixelsOf(body).map((line) =>
        Array.from({ length: 8 }, (_, x) => (line[x * channels] === 0xff ? '#' : '.')).join(''),
      )
      expect(dots).to.deep.equal([
        ...Array<string>(5).fill('........'),
        '...#...#',
        '...##.##',
        '...#.#.#',
        '...#...#',
        '...#...#',
      ])
      const others = pixelsOf(body).flatMap((line) => [...line].filter((byte) => byte !== 0xff))
      expect(new Set(others)).to.deep.equal(new Set([0x40]))
      expect(body.includes('gAMA')).to.equal(true)
    })
  }

  it('does not change an original', async () => {
    const image = png(8, 10, 3, 0x40)
    recipe.client.request('GET', '/originals/a.png')
    send(await recipe.upstream.connection(), image)
    const { headers, body } = await recipe.client.response()
    expect(body.equals(image)).to.equal(true)
    expect(headers['etag']).to.deep.equal(['"a"'])
  })

  it('shows no preview of another kind of file, passes on a 404, and announces no length for a HEAD', async () => {
    recipe.client.request('GET', '/previews/a.png')
    send(await recipe.upstream.connection(), Buffer.from('GIF89a'))
    expect((await recipe.client.response()).status).to.equal(500)
    recipe.client.request('GET', '/previews/b.png')
    ;(await recipe.upstream.connection()).write(
      answer('none', 'Connection: close\r\n').replace('200 OK', '404 Not Found'),
    )
    expect(await recipe.client.response()).to.deep.include({ status: 404, body: Buffer.from('none') })
    recipe.client.request('HEAD', '/previews/a.png')
    ;(await recipe.upstream.connection()).write(
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n',
    )
    expect((await recipe.client.response({ head: true })).headers).to.not.have.property('content-length')
  })
})
