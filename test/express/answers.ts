import type { NextFunction, Request, Response } from 'express'

export type Answer = (req: Request, res: Response, next: NextFunction) => unknown

/** The ways to answer, by the last part of the path. */
export const sent: Readonly<Record<string, Answer>> = {
  text: (_req, res) => res.send('hello'),
  unicode: (_req, res) => res.send('grüße, 世界'),
  buffer: (_req, res) => res.send(Buffer.from([0, 1, 2, 255])),
  object: (_req, res) => res.send({ a: [1, 'é', null] }),
  null: (_req, res) => res.send(null),
  nothing: (_req, res) => res.send(),
  boolean: (_req, res) => res.send(true),
  large: (_req, res) => res.send('0123456789'.repeat(20_000)),
  created: (_req, res) => res.status(201).set('X-Made', 'yes').send('made'),
  'no-content': (_req, res) => res.status(204).send('unseen'),
  'reset-content': (_req, res) => res.status(205).send('unseen'),
  'own-etag': (_req, res) => res.set('ETag', '"mine"').send('tagged'),
  latin1: (_req, res) => res.type('text/plain; charset=latin1').send('é'),
  twice: (_req, res) => {
    res.send('first')
    try {
      res.send('second')
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_HTTP_HEADERS_SENT') throw error
    }
  },
  json: (_req, res) => res.json({ text: '<&>', date: new Date(0), none: undefined }),
  'json-null': (_req, res) => res.status(418).json(null),
  jsonp: (_req, res) => res.jsonp({ separators: '\u2028\u2029' }),
  status: (_req, res) => res.sendStatus(404),
  'odd-status': (_req, res) => res.sendStatus(599),
  redirect: (_req, res) => res.redirect('/elsewhere?a=<b>'),
  'redirect-back': (req, res) => res.redirect(301, req.get('Referrer') ?? '/'),
  location: (_req, res) => res.location('https://a.test/ü\\x').end(),
  render: (_req, res) => res.render('greeting', { name: 'Ada' }),
  'render-callback': (_req, res, next) =>
    res.render('greeting', { name: 'Bob' }, (error, text) =>
      error ? next(error) : res.send(text.toUpperCase()),
    ),
  'render-missing': (_req, res) => res.render('missing'),
  format: (_req, res) =>
    res.format({ text: () => res.send('text'), html: () => res.send('<p>'), json: () => res.json('json') }),
  'format-default': (_req, res) =>
    res.format({ xml: () => res.send('<x/>'), default: () => res.send('default') }),
  callback: (_req, res) => void res.end('ended', () => void res.headersSent),
  locals: (req, res) => {
    Object.assign(res.locals, { path: req.path })
    res.json({
      ...res.locals,
      sent: res.headersSent,
      same: req.res === res && res.req === req && res.app === req.app,
    })
  },
}

export const headers: Readonly<Record<string, Answer>> = {
  vary: (_req, res) => res.vary('Accept').vary('User-Agent').vary('Accept').send('varies'),
  cookies: (req, res) => {
    Object.assign(req, { secret: 'keyboard cat' })
    res.cookie('plain', 'a b').cookie('json', { a: 1 }).cookie('signed', 'x', { signed: true })
    res.cookie('all', '1', { httpOnly: true, secure: true, sameSite: 'lax', path: '/p', domain: 'a.test' })
    res.clearCookie('gone', { path: '/p' }).end()
  },
  links: (_req, res) => res.links({ next: '/2' }).links({ last: '/9' }).end(),
  attachment: (_req, res) => res.attachment('päth.png').send('png'),
  append: (_req, res) =>
    res
      .append('Warning', '1')
      .append('Warning', ['2', '3'])
      .append('Set-Cookie', 'a=1')
      .append('Set-Cookie', 'b=2')
      .end(),
  set: (_req, res) =>
    res.set({ 'X-One': '1', 'x-TWO': '2' }).set('Content-Type', 'text/html').send(res.get('x-one')),
  type: (_req, res) => res.type('.png').send('png?'),
  removed: (_req, res) => {
    res.removeHeader('X-Powered-By')
    res.send('without')
  },
}

export const streams: Readonly<Record<string, Answer>> = {
  writes: (_req, res) => {
    for (const part of ['one', 'two', '', 'three']) res.write(part)
    res.end()
  },
  'over-time': async (_req, res) => {
    for (const part of ['one', 'two', 'three']) {
      res.write(part)
      await new Promise(setImmediate)
    }
    res.end('four')
  },
  'with-length': (_req, res) => {
    res.set('Content-Length', '6').write('one')
    res.end('two')
  },
  head: (_req, res) => {
    res.writeHead(203, 'Well Well', { 'X-List': ['a', 'b'] })
    res.end('written')
  },
  'flat-head': (_req, res) => {
    res.writeHead(200, ['X-A', '1', 'x-a', '2', 'Content-Length', '4'])
    res.end('flat')
  },
  trailers: (req, res) => {
    // Node refuses the announcement where there are no chunks.
    if (req.httpVersion === '1.1' && req.method === 'GET') res.set('Trailer', 'X-Sum')
    res.write('body')
    res.addTrailers({ 'X-Sum': '42' })
    res.end()
  },
  interim: (_req, res) => {
    res.writeEarlyHints({ link: '</a.css>; rel=preload' })
    res.send('after hints')
  },
  corked: (_req, res) => {
    res.cork()
    res.write('a')
    res.write('b')
    res.uncork()
    res.end('c')
  },
  encodings: (_req, res) => {
    res.write('6869', 'hex')
    res.end('aGk=', 'base64')
  },
  cut: (_req, res) => {
    res.write('half')
    setImmediate(() => res.destroy())
  },
}

/** Everything that Express reports about a request. */
export const requestProperties: Answer = (req, res) =>
  res.json({
    path: [req.baseUrl, req.originalUrl, req.url, req.path, req.query, req.params],
    message: [req.method, req.httpVersion, req.rawHeaders, req.complete, req.readableEnded],
    peer: [req.hostname, req.protocol, req.secure, req.ip, req.ips, req.subdomains, req.xhr],
    cache: [req.fresh, req.stale],
    headers: [req.get('Host'), req.get('Referer') ?? null],
    is: ['json', 'text/*', 'urlencoded'].map((type) => req.is(type)),
    accepts: [req.accepts(), req.accepts('html', 'json'), req.accepts('png')],
    charsets: req.acceptsCharsets('utf-8', 'latin1'),
    encodings: req.acceptsEncodings(),
    languages: req.acceptsLanguages('de', 'en'),
    range: req.range(100) ?? null,
    // A response has its connection only once those before it have been sent.
    socket: [req.socket.remoteAddress, res.socket === null || res.socket === req.socket],
  })
