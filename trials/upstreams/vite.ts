import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { WebSocket } from 'ws'
import { findChromium, noChromium, openChromium } from '../../test/support/clients/chromium.js'
import { ask, type Question } from './asking.js'
import { load, versionOf } from './packages.js'
import { freePort, temporaryFolder } from './program.js'
import { type Proxy, proxyTo, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'

/** As much of Vite as is used here. */
interface ViteModule {
  readonly createServer: (options: object) => Promise<{ listen(): Promise<unknown>; close(): Promise<void> }>
}

const WAIT_MS = 15_000

/** Vite's dev server: modules, source maps, and hot replacement over a WebSocket. */
export async function vite(trial: Trial): Promise<void> {
  const { createServer } = await load<ViteModule>('vite')
  trial.server = versionOf('vite')
  const [root, port] = [makeApp(), await freePort()]
  const server = await createServer({
    root,
    logLevel: 'error',
    configFile: false,
    server: { host: '127.0.0.1', port, strictPort: true },
  })
  await server.listen()
  const direct = `http://127.0.0.1:${port}`
  const proxy = await proxyTo(direct)
  await modules(trial, direct, proxy)
  await withoutBrowser(trial, root, proxy)
  await inChromium(trial, root, proxy)
  const codes = takeCodes(proxy)
  trial.holds('no errors', codes.length === 0, () => codes.join(', '))
  await server.close()
}

function makeApp(): string {
  const root = temporaryFolder()
  mkdirSync(path.join(root, 'src'))
  const page =
    '<!doctype html><body><p id="out"></p><script type="module" src="/src/main.js"></script></body>'
  writeFileSync(path.join(root, 'index.html'), page)
  writeFileSync(path.join(root, 'src/style.css'), 'p { color: rgb(1, 2, 3) }')
  writeFileSync(path.join(root, 'src/text.js'), "export const text = 'first'\n")
  writeFileSync(
    path.join(root, 'src/main.js'),
    `import './style.css'
import { text } from './text.js'
const show = (value) => { document.getElementById('out').textContent = value }
show(text)
if (import.meta.hot) import.meta.hot.accept('./text.js', (module) => show(module.text))
`,
  )
  return root
}

const questions: Readonly<Record<string, Question>> = {
  page: { path: '/', headers: { Accept: 'text/html' } },
  module: { path: '/src/main.js' },
  style: { path: '/src/style.css', headers: { Accept: 'text/css,*/*' } },
  'style as a module': { path: '/src/style.css?import' },
  client: { path: '/@vite/client' },
  'no such module': { path: '/src/none.js' },
}

/** The page and its modules, then again with their tags: 304s. The client is told a token, and no port. */
async function modules(trial: Trial, direct: string, proxy: Proxy): Promise<void> {
  for (const [name, question] of Object.entries(questions)) {
    await ask(direct, question)
    const [one, other] = [await ask(direct, question), await ask(proxy.url, question)]
    trial.same(name, one, other)
    const tag = 'headers' in one ? one.headers.find((line) => /^etag: /i.test(line))?.slice(6) : undefined
    if (tag === undefined) continue
    const again = { ...question, headers: { ...question.headers, 'If-None-Match': tag } }
    trial.same(`${name}, again`, await ask(direct, again), await ask(proxy.url, again))
  }
}

/** The protocol of the page's client: the token stands in the client's module. */
async function withoutBrowser(trial: Trial, root: string, proxy: Proxy): Promise<void> {
  const client = await (await fetch(`${proxy.url}/@vite/client`)).text()
  const token = /wsToken = "([^"]+)"/.exec(client)?.[1]
  await (await fetch(`${proxy.url}/src/main.js`)).text()
  await (await fetch(`${proxy.url}/src/text.js`)).text()
  const socket = new WebSocket(`${proxy.url.replace('http', 'ws')}/?token=${token}`, 'vite-hmr')
  const types: string[] = []
  socket.on('message', (data: Buffer) => types.push((JSON.parse(data.toString()) as { type: string }).type))
  await once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) })
  change(root, 'by a socket')
  await once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) }).catch(() => {})
  socket.close()
  trial.holds('the socket tells of a change', types.join() === 'connected,update', () => types.join())
}

/** The module is replaced in the page, which is not loaded again. */
async function inChromium(trial: Trial, root: string, proxy: Proxy): Promise<void> {
  const program = findChromium()
  if (program === undefined) return trial.note(`skipped: ${noChromium}`)
  const browser = await openChromium(program)
  try {
    const page = await browser.context.newPage()
    const sockets: string[] = []
    page.on('websocket', (socket) => sockets.push(socket.url()))
    await page.goto(proxy.url)
    await page.waitForFunction("document.getElementById('out').textContent !== ''", undefined, {
      timeout: WAIT_MS,
    })
    await page.evaluate('window.isSamePage = true')
    change(root, 'replaced')
    const isReplaced = await page
      .waitForFunction("document.getElementById('out').textContent === 'replaced'", undefined, {
        timeout: WAIT_MS,
      })
      .then(
        () => true,
        () => false,
      )
    trial.holds('a module is replaced in the page', isReplaced)
    trial.holds('the page was not loaded again', (await page.evaluate('window.isSamePage')) === true)
    const viaProxy = sockets.length === 1 && sockets[0]!.startsWith(`ws://127.0.0.1:${proxy.port}/`)
    trial.holds('the socket goes through the proxy', viaProxy, () => sockets.join())
  } finally {
    await browser.close()
  }
}

function change(root: string, text: string): void {
  const file = path.join(root, 'src/text.js')
  writeFileSync(file, readFileSync(file, 'utf8').replace(/'.*'/, `'${text}'`))
}
