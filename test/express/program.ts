// An application that uses the documented features of Express, for differential tests: the same program with and without sluiceway.
import { createReadStream } from 'node:fs'
import type { RequestListener } from 'node:http'
import path from 'node:path'
import type { Application } from 'express'
import type { ExpressVersion } from '../support/express/express-versions.js'
import type { Handler } from '../support/express/hosts.js'
import { headers, requestProperties, sent, streams } from './answers.js'
import { bodies, failures, files, routing, settings } from './routers.js'

/** The program on one version of Express, with the files of `folder`, and `before` in front of it. */
export function documentedProgram(
  { name, express }: ExpressVersion,
  folder: string,
  before: readonly Handler[],
): RequestListener {
  const app = express()
  app.set('env', 'test')
  app.set('views', path.join(folder, 'views'))
  app.engine('txt', (file, options, done) =>
    done(null, `${path.basename(file)}: ${String((options as { name?: unknown }).name)}`),
  )
  app.set('view engine', 'txt')
  for (const handler of before) app.use(handler)
  app.get('/after', (_req, res) => void res.end('the request after it'))
  addAnswers(app, folder)
  addHeaders(app)
  addStreams(app, folder)
  app.use('/request', requestProperties)
  app.use('/settings', settings(express))
  app.use('/routing', routing(express))
  app.use('/static', files(express, folder))
  app.use('/body', bodies(express))
  app.use('/errors', failures(express, name))
  return app as RequestListener
}

function addAnswers(app: Application, folder: string): void {
  for (const [name, answer] of Object.entries(sent)) app.get(`/send/${name}`, answer)
  const large = path.join(folder, 'public/large.txt')
  app.get('/file', (_req, res) => res.sendFile(large))
  app.get('/file/root', (_req, res) =>
    res.sendFile('large.txt', {
      root: path.join(folder, 'public'),
      maxAge: '1d',
      headers: { 'X-File': 'a' },
    }),
  )
  app.get('/file/missing', (_req, res) => res.sendFile(path.join(folder, 'missing')))
  app.get('/file/hidden', (_req, res) => res.sendFile('.hidden', { root: path.join(folder, 'public') }))
  app.get('/file/callback', (_req, res) =>
    res.sendFile(path.join(folder, 'missing'), (error) => {
      res.status((error as { status?: number }).status ?? 500).send('told')
    }),
  )
  app.get('/download', (_req, res) => res.download(large))
  app.get('/download/named', (_req, res) => res.download(large, 'Übung "1".txt', { maxAge: 1000 }))
}

function addHeaders(app: Application): void {
  for (const [name, answer] of Object.entries(headers)) app.get(`/headers/${name}`, answer)
}

function addStreams(app: Application, folder: string): void {
  for (const [name, answer] of Object.entries(streams)) app.get(`/stream/${name}`, answer)
  app.get('/stream/pipe', (_req, res) => createReadStream(path.join(folder, 'public/large.txt')).pipe(res))
}
