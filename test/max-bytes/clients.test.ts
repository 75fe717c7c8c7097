import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { findChromium, noChromium, openChromium } from '../support/clients/chromium.js'
import { root } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { isThorough } from '../support/thorough.js'
import { body, LENGTH, limitedApp } from './uploads.js'

const run = promisify(execFile)

const UPLOADS = isThorough ? 100 : 10
/** A browser takes a second or more to post a form of this size. */
const FORMS = isThorough ? 100 : 1

const folder = mkdtempSync(path.join(tmpdir(), 'sluiceway-clients-'))
const programs = path.join(root, 'test/max-bytes/clients')

/** A client, or the reason why it is missing. */
type Upload = (url: string, times: number) => Promise<readonly string[]>

/** Each uploads 10 MB this many times, every other time without announcing the length, and reports its answers. */
const clients: Record<string, () => Promise<Upload | string>> = {
  'Node fetch': async () => fetchUploads,
  curl: async () => ((await succeeds('curl', ['--version'])) ? curlUploads : 'no curl was found'),
  'Python requests': findPythonUploads,
  'Go net/http': buildGoUploads,
}

const refused = (times: number): string[] => Array.from({ length: times }, () => '413')

describe('maxBytes, with 10 MB uploads of common clients', function () {
  this.timeout(300_000)
  after(() => rmSync(folder, { recursive: true }))
  afterEach(closeServers)

  for (const [name, find] of Object.entries(clients)) {
    it(`delivers the 413 to ${name}, ${UPLOADS} of ${UPLOADS}`, async function () {
      const upload = await find()
      if (typeof upload === 'string') return skip(this, upload)
      const { url } = await serve(limitedApp())
      const answers = await upload(url, UPLOADS)
      console.log(`      ${name}: ${delivered(answers)}`)
      expect(answers).to.deep.equal(refused(UPLOADS))
    })
  }

  it(`shows the 413 in Chromium: to fetch, ${UPLOADS} of ${UPLOADS}, and to a form, ${FORMS} of ${FORMS}`, async function () {
    const executable = findChromium()
    if (executable === undefined) return skip(this, noChromium)
    const browser = await openChromium(executable)
    try {
      const { url } = await serve(limitedApp(formPage))
      const page = await browser.context.newPage()
      await page.goto(url)
      const fetched = await fetchesIn(page, UPLOADS)
      const posted: string[] = []
      for (let form = 0; form < FORMS; form++) posted.push(await postFormIn(page, url))
      console.log(`      Chromium: fetch ${delivered(fetched)}, form ${delivered(posted)}`)
      expect([fetched, posted]).to.deep.equal([refused(UPLOADS), refused(FORMS)])
    } finally {
      await browser.close()
    }
  })
})

async function fetchUploads(url: string, times: number): Promise<string[]> {
  const answers: string[] = []
  for (let upload = 0; upload < times; upload++) {
    const stream = upload % 2 === 1 ? { body: new Blob([body]).stream(), duplex: 'half' } : { body }
    const response = await fetch(url, { method: 'POST', ...stream } as RequestInit)
    answers.push((await response.text()) === '' ? 'no whole answer' : String(response.status))
  }
  return answers
}

/** A process for each, a few at a time. */
async function curlUploads(url: string, times: number): Promise<string[]> {
  const answers: string[] = []
  while (answers.length < times) {
    const batch = Array.from({ length: Math.min(5, times - answers.length) }, (_, upload) =>
      curlUpload(url, upload),
    )
    answers.push(...(await Promise.all(batch)))
  }
  return answers
}

async function curlUpload(url: string, upload: number): Promise<string> {
  const framing = upload % 2 === 1 ? 'Transfer-Encoding: chunked' : `Content-Length: ${LENGTH}`
  const options = ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Expect:', '-H', framing]
  const curl = run('curl', [...options, '-X', 'POST', '--data-binary', '@-', url])
  curl.child.stdin!.on('error', () => {})
  curl.child.stdin!.end(body)
  return curl.then(
    ({ stdout }) => stdout,
    (error: { stderr: string }) => error.stderr,
  )
}

/** Debian's python has the package that apt installs; another python3 may come first on the PATH. */
async function findPythonUploads(): Promise<Upload | string> {
  for (const python of ['/usr/bin/python3', 'python3']) {
    if (await succeeds(python, ['-c', 'import requests'])) {
      const script = path.join(programs, 'upload.py')
      return (url, times) => printed(python, [script, url, String(LENGTH), String(times)])
    }
  }
  return 'no python3 with requests was found'
}

async function buildGoUploads(): Promise<Upload | string> {
  if (!(await succeeds('go', ['version']))) return 'no go was found'
  const program = path.join(folder, 'upload')
  await run('go', ['build', '-o', program, path.join(programs, 'upload.go')], {
    env: { ...process.env, GOFLAGS: '-mod=mod' },
  })
  return (url, times) => printed(program, [url, String(LENGTH), String(times)])
}

function succeeds(program: string, options: readonly string[]): Promise<boolean> {
  return run(program, options).then(
    () => true,
    () => false,
  )
}

/** The lines that a program prints. */
async function printed(program: string, options: readonly string[]): Promise<string[]> {
  return (await run(program, options)).stdout.trimEnd().split('\n')
}

const formPage = '<form method="post" enctype="multipart/form-data"><input type="hidden" name="text"></form>'

// Strings, because these run in the page and the compiler must not check them.
function fetchesIn(page: Page, times: number): Promise<string[]> {
  return page.evaluate<string[]>(`(async () => {
    const body = new Blob(['a'.repeat(${LENGTH})])
    const answers = []
    while (answers.length < ${times}) {
      answers.push(await fetch('/', { method: 'POST', body }).then(
        async (response) => (await response.text()) === '' ? 'no whole answer' : String(response.status), String))
    }
    return answers
  })()`)
}

async function postFormIn(page: Page, url: string): Promise<string> {
  await page.goto(url)
  const submit = `document.forms[0].text.value = 'a'.repeat(${LENGTH}); setTimeout(() => document.forms[0].submit())`
  const [shown] = await Promise.all([page.waitForNavigation().catch(String), page.evaluate(submit)])
  return typeof shown === 'string' ? shown : String(shown?.status())
}

function delivered(answers: readonly string[]): string {
  return `${answers.filter((answer) => answer === '413').length} of ${answers.length}`
}

function skip(context: Mocha.Context, reason: string): void {
  console.log(`      skipped: ${reason}`)
  context.skip()
}
