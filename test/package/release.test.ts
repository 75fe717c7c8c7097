import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { manifest, readText, root } from '../support/repository/repository.js'
import { closeServers, listen } from '../support/servers/servers.js'

const run = promisify(execFile)
const address = 'https://github.com/someone/sluiceway'
const tag = `v${manifest.version}`

/** What GitHub sets for a workflow that a tag has started. */
const workflow = {
  GITHUB_SERVER_URL: 'https://github.com',
  GITHUB_REPOSITORY: 'someone/sluiceway',
  GITHUB_REF_TYPE: 'tag',
  GITHUB_REF_NAME: tag,
  ACTIONS_ID_TOKEN_REQUEST_URL: 'https://token.invalid',
}

const copied = [
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'docs',
  'lib',
  'bench',
]

describe('a release', function () {
  this.timeout(30_000)

  let folder: string
  let bin: string

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sluiceway-release-'))
    for (const name of copied)
      cpSync(path.join(root, name), path.join(folder, name), { recursive: true, filter: notInstalled })
    // Its version decides, and no test should depend on that of this machine.
    bin = path.join(folder, 'bin')
    pretendNpm('11.6.0')
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  afterEach(closeServers)

  function pretendNpm(version: string): void {
    mkdirSync(bin, { recursive: true })
    writeFileSync(path.join(bin, 'npm'), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 })
  }

  /** What the script says; nothing if the release may go on. */
  async function prepare(
    environment: Readonly<Record<string, string>> = workflow,
    ...flags: string[]
  ): Promise<string> {
    const env = { PATH: `${bin}:${process.env['PATH']}`, ...environment }
    const parameters = ['scripts/prepare-release.mjs', ...flags, folder]
    const { stdout, stderr } = await run(process.execPath, parameters, { cwd: root, env }).catch(
      (error: { stdout: string; stderr: string }) => error,
    )
    expect(stdout).to.equal('')
    return stderr.trimEnd()
  }

  function edit(file: string, change: (text: string) => string): void {
    writeFileSync(path.join(folder, file), change(read(file)))
  }

  function read(file: string): string {
    return readFileSync(path.join(folder, file), 'utf8')
  }

  it('lacks nothing as things are, and a check changes nothing', async () => {
    expect(await prepare(workflow, '--check')).to.equal('')
    for (const file of ['package.json', 'README.md', 'CHANGELOG.md', 'lib/shared/error-page.ts']) {
      expect(read(file), file).to.equal(readText(file))
    }
  })

  const { GITHUB_REPOSITORY, ACTIONS_ID_TOKEN_REQUEST_URL, ...others } = workflow
  const lacks: readonly (readonly [
    what: string,
    sentence: string,
    environment: Record<string, string>,
    () => void,
  ])[] = [
    [
      'a repository',
      'GITHUB_REPOSITORY is not set to owner/name: this runs in a workflow of the repository.',
      { ...others, ACTIONS_ID_TOKEN_REQUEST_URL },
      () => {},
    ],
    [
      'an identity token',
      'The job has no identity token for the statement of provenance: give it the permission "id-token: write".',
      { ...others, GITHUB_REPOSITORY },
      () => {},
    ],
    [
      'the right tag',
      `The tag is v9.9.9, but package.json has version ${manifest.version}: tag it ${tag}.`,
      { ...workflow, GITHUB_REF_NAME: 'v9.9.9' },
      () => {},
    ],
    [
      'the right place',
      `package.json names the repository git+https://github.com/other/place.git, but this runs in ${address}.`,
      workflow,
      () =>
        edit('package.json', (text) =>
          text.replace(
            '"license"',
            '"repository": { "url": "git+https://github.com/other/place.git" }, "license"',
          ),
        ),
    ],
    [
      'a late enough npm',
      'npm is 10.8.2, but trusted publishing needs 11.5.1 or later: use a later Node.',
      workflow,
      () => pretendNpm('10.8.2'),
    ],
    [
      'a section of CHANGELOG.md',
      `CHANGELOG.md has no section "## [${manifest.version}]".`,
      workflow,
      () => edit('CHANGELOG.md', (text) => text.replace(`## [${manifest.version}]`, '## [0.0.9]')),
    ],
    [
      'a home for unreleased entries',
      'CHANGELOG.md still has entries under "Unreleased": move them to the version.',
      workflow,
      () =>
        edit('CHANGELOG.md', (text) => text.replace('\n## [', '\n## [Unreleased]\n\n- something\n\n## [')),
    ],
    ['a licence', 'LICENSE is missing.', workflow, () => rmSync(path.join(folder, 'LICENSE'))],
  ]
  for (const [what, sentence, environment, takeAway] of lacks) {
    it(`that lacks ${what} is refused in one sentence`, async () => {
      takeAway()
      expect(await prepare(environment, '--check')).to.equal(sentence)
    })
  }

  it('names the repository where the workflow runs, and keeps the rest of package.json', async () => {
    expect(await prepare()).to.equal('')
    const { repository, homepage, bugs, ...rest } = JSON.parse(read('package.json'))
    expect({ repository, homepage, bugs }).to.deep.equal({
      repository: { type: 'git', url: `git+${address}.git` },
      homepage: `${address}#readme`,
      bugs: { url: `${address}/issues` },
    })
    expect(rest).to.deep.equal(JSON.parse(readText('package.json')))
  })

  it('has links in README and CHANGELOG that work from a package page', async () => {
    edit(
      'README.md',
      (text) =>
        `${text}\n[![all](docs/benchmarks.svg)](docs/benchmarks.md)\n<img src="docs/body-cache.svg">\n`,
    )
    await prepare()
    for (const file of ['README.md', 'CHANGELOG.md']) {
      const links = linksOf(read(file))
      expect(links).to.have.length.above(0)
      expect(
        links.filter((link) => !/^https?:/.test(link)),
        file,
      ).to.deep.equal([])
      const places = links
        .filter((link) => link.startsWith(address))
        .map((link) => link.slice(address.length))
      for (const place of places) {
        const [, kind, target = ''] = new RegExp(`^/(blob|tree|raw)/${tag}/([^#]*)`).exec(place) ?? []
        expect(kind, place).to.be.a('string')
        expect(existsSync(path.join(root, target)), place).to.equal(true)
      }
    }
    expect(read('README.md')).to.include(
      `[![all](${address}/raw/${tag}/docs/benchmarks.svg)](${address}/blob/${tag}/docs/benchmarks.md)`,
    )
    expect(read('README.md')).to.include(`<img src="${address}/raw/${tag}/docs/body-cache.svg">`)
  })

  it('leaves code blocks of the README as they are', async () => {
    await prepare()
    const blocks = /^```[^]*?^```$/gm
    expect(read('README.md').match(blocks)).to.deep.equal(readText('README.md').match(blocks))
  })

  it('has a date in CHANGELOG, and errors that name their entry by its address', async () => {
    await prepare()
    expect(read('CHANGELOG.md')).to.match(
      new RegExp(`^## \\[${manifest.version}\\] - \\d{4}-\\d\\d-\\d\\d$`, 'm'),
    )
    expect(read('lib/shared/error-page.ts')).to.include(
      `const PAGE = '${address}/blob/${tag}/docs/errors.md'\n`,
    )
  })

  it('has comments that lead from an editor to the pages, which the package does not contain', async () => {
    await prepare()
    for (const name of [
      'attach',
      'auto-flush',
      'body-cache',
      'max-bytes',
      'passthrough-proxy',
      'pipe-child',
    ]) {
      expect(read(`lib/${name}.ts`)).to.include(`@see ${address}/blob/${tag}/docs/${name}.md`)
    }
    const sources = readdirSync(path.join(folder, 'lib'), { recursive: true, encoding: 'utf8' })
    for (const file of sources.filter((name) => name.endsWith('.ts'))) {
      expect(read(`lib/${file}`), file).to.not.match(/(?<!\/)docs\/[\w-]+\.md/)
    }
  })

  it('can be published: a dry run of the prepared tree', async () => {
    await prepare()
    const registry = await listen(createServer((req, res) => res.writeHead(404).end('{}')))
    const flags = [
      'publish',
      '--dry-run',
      '--json',
      '--ignore-scripts',
      '--access',
      'public',
      '--registry',
      `${registry.url}/`,
    ]
    const { stdout } = await run('npm', flags, { cwd: folder })
    const { name, version, files } = described(JSON.parse(stdout))
    expect({ name, version }).to.deep.equal({ name: 'sluiceway', version: manifest.version })
    expect(
      files
        .map((file) => file.path)
        .filter((file) => !file.startsWith('dist/'))
        .toSorted(),
    ).to.deep.equal(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
  })

  it('is checked before anything is installed, and prepared after the tests', () => {
    const commands = [...readText('.github/workflows/release.yml').matchAll(/^ +(?:- )?run: (.*)$/gm)].map(
      ([, command]) => command,
    )
    expect(commands).to.deep.equal([
      'node scripts/prepare-release.mjs --check',
      'npm ci --ignore-scripts',
      'npm ci --ignore-scripts',
      'npm run lint',
      'npm test',
      'node scripts/prepare-release.mjs',
      'npm publish --dry-run --access public',
      'npm publish --provenance --access public',
    ])
  })
})

function notInstalled(source: string): boolean {
  return path.basename(source) !== 'node_modules'
}

/** The targets of the links and images outside of code. */
function linksOf(markdown: string): string[] {
  const text = markdown.replaceAll(/^```[^]*?^```$/gm, '')
  return [...text.matchAll(/\]\(([^)\s]+)|\b(?:src|href)="([^"]+)"/g)].map(
    ([, link = '', other = '']) => link || other,
  )
}

interface Described {
  readonly name: string
  readonly version: string
  readonly files: readonly { readonly path: string }[]
}

/** Later versions of npm put the answer under the name of the package. */
function described(answer: Described | { readonly sluiceway: Described }): Described {
  return 'sluiceway' in answer ? answer.sluiceway : answer
}
