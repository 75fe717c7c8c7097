// Prepares the tree that the release workflow publishes: names the repository where it runs in package.json, dates the
// version in CHANGELOG.md, and makes links that are relative here lead there from a package page, from an error's text and
// from the comments that an editor shows.
// With --check it changes nothing. Either way it first tells what a release lacks, one sentence each. The last argument
// may name another folder than this one.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const parameters = process.argv.slice(2)
const [folder = fileURLToPath(new URL('..', import.meta.url))] = parameters.filter(
  (each) => each !== '--check',
)
const {
  GITHUB_SERVER_URL: server = 'https://github.com',
  GITHUB_REPOSITORY: repository = '',
  GITHUB_REF_TYPE: refType,
  GITHUB_REF_NAME: refName,
  ACTIONS_ID_TOKEN_REQUEST_URL: identity,
} = process.env
const address = `${server}/${repository}`

const manifest = JSON.parse(read('package.json'))
const tag = `v${manifest.version}`
const heading = `## [${manifest.version}]`
const errorPage = 'lib/shared/error-page.ts'
const errorPath = "const PAGE = 'docs/errors.md'"

/** npm needs this version to publish without a token: the registry trusts the workflow by its name. */
const neededNpm = [11, 5, 1]

function read(file) {
  return readFileSync(path.join(folder, file), 'utf8')
}

function write(file, text) {
  writeFileSync(path.join(folder, file), text)
}

/** What the place lacks, one sentence each. Only a run for a tag publishes; any other is a dry run. */
function* lackingPlace() {
  const declared = manifest.repository?.url ?? `git+${address}.git`
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository))
    yield 'GITHUB_REPOSITORY is not set to owner/name: this runs in a workflow of the repository.'
  else if (declared !== `git+${address}.git`)
    yield `package.json names the repository ${declared}, but this runs in ${address}.`
  if (refType === 'tag' && refName !== tag)
    yield `The tag is ${refName}, but package.json has version ${manifest.version}: tag it ${tag}.`
  if (refType === 'tag' && !identity)
    yield 'The job has no identity token for the statement of provenance: give it the permission "id-token: write".'
  const npm = npmVersion()
  if (!isAtLeast(npm, neededNpm))
    yield `npm is ${npm.join('.')}, but trusted publishing needs ${neededNpm.join('.')} or later: use a later Node.`
}

/** What the tree lacks. */
function* lackingFiles() {
  for (const file of ['LICENSE', 'README.md', 'CHANGELOG.md'])
    if (!existsSync(path.join(folder, file))) yield `${file} is missing.`
  const changes = existsSync(path.join(folder, 'CHANGELOG.md')) ? read('CHANGELOG.md') : ''
  if (!changes.includes(`\n${heading}`)) yield `CHANGELOG.md has no section "${heading}".`
  const [, unreleased = ''] = changes.split('\n## [Unreleased]')
  if (unreleased.split('\n## ')[0].trim() !== '')
    yield 'CHANGELOG.md still has entries under "Unreleased": move them to the version.'
  if (!read(errorPage).includes(errorPath)) yield `${errorPage} no longer has the line "${errorPath}".`
}

function npmVersion() {
  return execFileSync('npm', ['--version'], { encoding: 'utf8' }).trim().split('.').map(Number)
}

function isAtLeast(version, needed) {
  const index = needed.findIndex((part, at) => part !== version[at])
  return index === -1 || version[index] > needed[index]
}

function prepare() {
  write('package.json', `${JSON.stringify({ ...manifest, ...places() }, null, 2)}\n`)
  const dated = read('CHANGELOG.md').replace(
    new RegExp(`^${escape(heading)}.*$`, 'm'),
    `${heading} - ${today()}`,
  )
  write('CHANGELOG.md', withAbsoluteLinks(dated))
  write('README.md', withAbsoluteLinks(read('README.md')))
  write(errorPage, read(errorPage).replace(errorPath, `const PAGE = '${addressOf('docs/errors.md')}'`))
  for (const file of sources()) write(file, withPages(read(file)))
}

/** The modules whose declarations keep their comments are among these: the package has no docs folder. */
function sources() {
  const names = readdirSync(path.join(folder, 'lib'), { recursive: true })
  return names.filter((name) => name.endsWith('.ts')).map((name) => path.posix.join('lib', name))
}

/** Pages that a comment names, such as "@see docs/attach.md". */
function withPages(source) {
  return source.replaceAll(/(?<=[ (])docs\/[\w-]+\.md\b/g, (page) => addressOf(page))
}

function places() {
  return {
    homepage: `${address}#readme`,
    bugs: { url: `${address}/issues` },
    repository: { type: 'git', url: `git+${address}.git` },
  }
}

function today() {
  return new Date().toISOString().slice(0, 10)
}

function escape(text) {
  return text.replaceAll(/[\][.]/g, String.raw`\$&`)
}

/** Links and images of Markdown and HTML, outside of blocks of code. */
function withAbsoluteLinks(markdown) {
  return markdown
    .split(/(^```[^]*?^```$)/m)
    .map((part) => (part.startsWith('```') ? part : absolute(part)))
    .join('')
}

function absolute(text) {
  return text
    .replaceAll(/(!\[[^\]]*\]\()([^)\s]+)/g, (whole, before, target) => before + addressOf(target, true))
    .replaceAll(
      /(\[(?:[^\][]|\[[^\]]*\])*\]\()([^)\s]+)/g,
      (whole, before, target) => before + addressOf(target),
    )
    .replaceAll(
      /\b(src|srcset|href)="([^"]+)"/g,
      (whole, name, target) => `${name}="${addressOf(target, name !== 'href')}"`,
    )
}

/** Where a file of this version is shown, or where its bytes are. */
function addressOf(target, isRaw = false) {
  if (/^(?:\w+:|#|\/\/)/.test(target)) return target
  const [file = '', hash] = target.split('#')
  const isFolder = statSync(path.join(folder, file)).isDirectory()
  const kind = isRaw ? 'raw' : isFolder ? 'tree' : 'blob'
  return `${address}/${kind}/${tag}/${path.posix.normalize(file)}${hash === undefined ? '' : `#${hash}`}`
}

const sentences = [...lackingPlace(), ...lackingFiles()]
if (sentences.length > 0) {
  console.error(sentences.join('\n'))
  process.exit(1)
}
if (!parameters.includes('--check')) prepare()
