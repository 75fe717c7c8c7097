// The parts of the program (program.ts) that are routers and applications of their own.
import path from 'node:path'
import type { Application, NextFunction, Request, Response, Router } from 'express'
import type { Express } from '../support/express/express-versions.js'
import { type Answer, requestProperties } from './answers.js'

export function settings(express: Express): Application {
  const app = express()
  app.disable('x-powered-by').enable('json escape').set('json spaces', 2).set('etag', 'strong')
  app.set('jsonp callback name', 'cb').set('query parser', 'extended').set('trust proxy', 'loopback')
  app.enable('case sensitive routing').enable('strict routing').set('subdomain offset', 1)
  app.get('/json', (_req, res) => void res.json({ html: '<b>' }))
  app.get('/jsonp', (_req, res) => void res.jsonp([1]))
  app.get('/Case', (_req, res) => void res.send('matched'))
  app.get('/mounted', (_req, res) => void res.json([app.mountpath, app.path()]))
  app.use('/request', requestProperties)
  return app
}

export function routing(express: Express): Router {
  const router = express.Router()
  addParams(express, router)
  router.get('/rewritten', (req, _res, next) => {
    req.url = '/chain'
    next()
  })
  router
    .route('/chain')
    .all((_req, res, next) => {
      res.set('X-All', '1')
      next()
    })
    .get((_req, res) => void res.send('got'))
    .post((_req, res) => void res.send('posted'))
    .put((_req, res) => void res.send('put'))
  router.get(
    '/skip/:what',
    (req, _res, next) => next(req.params.what === 'route' ? 'route' : undefined),
    (_req, res) => void res.send('second handler'),
  )
  router.get('/skip/:what', (_req, res) => void res.send('second route'))
  const leaving = express.Router()
  leaving.use((_req, _res, next) => next('router'))
  leaving.use((_req, res) => void res.send('never'))
  router.use('/leave', leaving, (_req, res) => void res.send('left'))
  router.all('/all', (req, res) => void res.send(req.method))
  router.get(/^\/expression\/(\d+)$/, (req, res) => void res.json(req.params))
  router.get(['/first', '/second'], (req, res) => void res.send(req.path))
  router.get(
    '/several',
    [passing('a'), passing('b')],
    passing('c'),
    (_req: Request, res: Response) => void res.json(res.locals),
  )
  return router
}

function passing(name: string): Answer {
  return (_req, res, next) => {
    res.locals[name] = true
    next()
  }
}

function addParams(express: Express, router: Router): void {
  router.param('id', (_req, res, next, id: string, name) => {
    if (id === 'bad') next(new Error('bad id'))
    else {
      res.set('X-Param', `${name} is ${id}`)
      next()
    }
  })
  router.get('/items/:id', (req, res) => void res.json(req.params))
  const inner = express.Router({ mergeParams: true })
  inner.get('/:detail', (req, res) => void res.json([req.params, req.baseUrl, req.url, req.originalUrl]))
  router.use('/items/:id/details', inner)
}

export function files(express: Express, folder: string): Router {
  const router = express.Router()
  const root = path.join(folder, 'public')
  router.use('/plain', express.static(root))
  router.use(
    '/strict',
    express.static(root, { fallthrough: false, redirect: false, index: false, dotfiles: 'deny' }),
  )
  router.use(
    '/free',
    express.static(root, {
      dotfiles: 'allow',
      extensions: ['txt'],
      immutable: true,
      maxAge: '1y',
      etag: false,
      lastModified: false,
      setHeaders: (res) => void res.setHeader('X-Static', '1'),
    }),
  )
  router.use('/ranges-off', express.static(root, { acceptRanges: false, cacheControl: false }))
  return router
}

export function bodies(express: Express): Router {
  const router = express.Router()
  const echo: Answer = (req, res) =>
    res.json({ body: Buffer.isBuffer(req.body) ? req.body.toString('hex') : (req.body ?? null) })
  router.post('/json', express.json({ limit: 100 }), echo)
  router.post('/loose', express.json({ strict: false, type: '*/*' }), echo)
  router.post('/form', express.urlencoded({ extended: true }), echo)
  router.post('/simple-form', express.urlencoded({ extended: false, parameterLimit: 2 }), echo)
  router.post('/text', express.text({ defaultCharset: 'utf-8' }), echo)
  router.post('/raw', express.raw({ type: () => true, inflate: false }), echo)
  router.post(
    '/verified',
    express.json({
      verify: (_req, _res, bytes) => {
        if (bytes.length > 5) throw new Error('too long to be true')
      },
    }),
    echo,
  )
  router.post('/any', express.json(), express.urlencoded({ extended: false }), express.text(), echo)
  router.post('/pipe', (req, res) => void req.pipe(res))
  router.all('/iterate', async (req, res) => {
    let length = 0
    for await (const chunk of req) length += (chunk as Buffer).length
    res.json({ length, complete: req.complete, trailers: req.rawTrailers })
  })
  router.post('/encoding', (req, res) => {
    let text = ''
    req
      .setEncoding('utf8')
      .on('data', (part: string) => void (text += part))
      .on('end', () => void res.send(text))
  })
  router.post('/unread', (_req, res) => void res.send('not read'))
  return router
}

export function failures(express: Express, version: string): Router {
  const router = express.Router()
  const failing: Readonly<Record<string, Answer>> = {
    throw: () => {
      throw new Error('thrown <b>')
    },
    next: (_req, _res, next) => next(new Error('next')),
    text: (_req, _res, next) => next('a text'),
    status: (_req, _res, next) =>
      next(
        Object.assign(new Error('teapot'), {
          status: 418,
          headers: { 'X-Tea': 'oolong', 'Retry-After': '5' },
        }),
      ),
    'wrong-status': (_req, _res, next) => next(Object.assign(new Error('not one'), { statusCode: 200 })),
    'response-status': (_req, res, next) => {
      res.status(503).set('X-Kept', 'no')
      next(new Error('busy'))
    },
    'after-head': (_req, res, next) => {
      res.write('half')
      next(new Error('late'))
    },
    handled: (_req, _res, next) => next(new Error('handled')),
    'not-found': (_req, _res, next) => next(),
  }
  for (const [name, answer] of Object.entries(failing)) router.all(`/${name}`, answer)
  // Express 4 does not hear of it.
  if (version === 'Express 5') router.get('/rejected', () => Promise.reject(new Error('rejected')))
  router.use(
    '/handled',
    (error: Error, _req: Request, res: Response, _next: NextFunction) =>
      void res.status(422).json({ message: error.message }),
  )
  return router
}
