// `npm start`: builds the package and the playground, and starts it. What would stop it at the end (an old Node, missing
// packages, a port that is wrong or in use) is told in one sentence before the build. With --built it builds nothing.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = `${root}node_modules/typescript/bin/tsc`

const needed = { major: 20, minor: 19 }
const { PORT, HOST } = process.env
const host = HOST || '127.0.0.1'

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < needed.major || (major === needed.major && minor < needed.minor)) {
    stop(
      `This needs Node ${needed.major}.${needed.minor} or later, and this is Node ${process.versions.node}.`,
    )
  }
  if (!existsSync(tsc)) stop('The packages are not installed: run "npm ci" first.')
}

function readPort() {
  const port = Number(PORT || 3000)
  if (/^\d*$/.test(PORT ?? '') && port <= 65_535) return port
  return stop(`PORT is "${PORT}", but a port is a whole number from 0 to 65535: try "PORT=3001 npm start".`)
}

/** Listens there. The port may be taken while the build runs, so this is done before it and after it. */
async function listen(server, port) {
  await new Promise((resolve) => {
    server.once('error', ({ code, message }) =>
      stop(sentences[code]?.(port) ?? `It cannot listen: ${message}.`),
    )
    server.listen(port, host, resolve)
  })
}

const sentences = {
  EADDRINUSE: (port) =>
    `Port ${port} of ${host} is in use: end the program that has it, or try "PORT=${port === 3001 ? 3002 : 3001} npm start".`,
  EACCES: (port) =>
    `Port ${port} is reserved for the administrator of this machine: try "PORT=3001 npm start".`,
  EADDRNOTAVAIL: () =>
    `HOST is "${host}", which is no address of this machine: try "HOST=0.0.0.0 npm start".`,
  ENOTFOUND: () => `HOST is "${host}", which is no address of this machine: try "HOST=0.0.0.0 npm start".`,
}

async function checkPlace(port) {
  const probe = createServer()
  await listen(probe, port)
  await new Promise((resolve) => probe.close(resolve))
}

function build() {
  console.log('Building the package and the playground, which takes a few seconds …')
  run(`${root}scripts/build.mjs`)
  for (const project of ['docs/playground', 'docs/playground/page']) run(tsc, '-p', project)
}

function run(program, ...parameters) {
  try {
    execFileSync(process.execPath, [program, ...parameters], { cwd: root, stdio: 'inherit' })
  } catch {
    stop('The build failed: its messages are above.')
  }
}

async function start(port) {
  const { createPlayground } = await import('../build/docs/playground/server.js')
  const { server, upstream } = await createPlayground()
  await listen(server, port)
  const { address, port: taken } = server.address()
  const name = address === '127.0.0.1' ? 'localhost' : address.includes(':') ? `[${address}]` : address
  console.log(
    `The playground is on http://${name}:${taken} (Ctrl+C ends it). The server behind its proxy is ${upstream.url}.`,
  )
}

function stop(sentence) {
  console.error(sentence)
  process.exit(1)
}

checkNode()
const port = readPort()
await checkPlace(port)
if (process.argv[2] !== '--built') build()
await start(port)
