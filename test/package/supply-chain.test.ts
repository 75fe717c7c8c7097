import { expect } from 'chai'
import { namesIn, readText } from '../support/repository/repository.js'

interface LockedPackage {
  readonly version?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly hasInstallScript?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

interface Lock {
  readonly lockfileVersion: number
  readonly packages: Readonly<Record<string, LockedPackage>>
}

const workflows = namesIn('.github/workflows').map((name) => ({
  name,
  text: readText(`.github/workflows/${name}`),
}))
const release = readText('.github/workflows/release.yml')
const manifest = JSON.parse(readText('package.json')) as LockedPackage & {
  readonly scripts: Readonly<Record<string, string>>
  readonly publishConfig: object
}

/** The lines `uses: …` of a workflow. */
function usesOf(text: string): string[] {
  return [...text.matchAll(/^\s*(?:- )?uses:.*$/gm)].map(([line]) => line.trim())
}

describe('the workflows', () => {
  for (const { name, text } of workflows) {
    describe(name, () => {
      it('pins each action to a commit, and names its version', () => {
        const uses = usesOf(text)
        expect(uses).to.have.length.above(0)
        const pinned = /^(?:- )?uses: [\w.-]+\/[\w./-]+@[\da-f]{40} # v\d+\.\d+\.\d+$/
        expect(uses.filter((line) => !pinned.test(line))).to.deep.equal([])
      })

      it('has only read permission by default', () => {
        expect(text).to.match(/^permissions:(?: \{\}|\n {2}contents: read)\n\n/m)
      })

      it('leaves no credentials in the worktree', () => {
        const checkouts = text.match(/uses: actions\/checkout@/g) ?? []
        expect(text.match(/persist-credentials: false/g)).to.have.length(checkouts.length)
      })

      it('never runs untrusted text as a command', () => {
        expect(text).not.to.contain('pull_request_target')
        for (const [line] of text.matchAll(/^\s*(?:- )?run:.*$/gm)) expect(line).not.to.contain('${{')
      })

      it('installs the locked packages, without scripts', () => {
        for (const [line] of text.matchAll(/npm (?:ci|install|i)\b.*/g)) {
          expect(line).to.equal('npm ci --ignore-scripts')
        }
      })
    })
  }

  it('use the same commit for the same version of an action', () => {
    const pins = workflows.flatMap(({ text }) => usesOf(text).map((line) => line.replace(/^- /, '')))
    const versions = new Set(pins.map((line) => line.replace(/@.*#/, '@')))
    expect(new Set(pins).size).to.equal(versions.size)
  })

  it('give only the publishing job a write permission, and only that for its identity token', () => {
    const writes = workflows.flatMap(({ name, text }) =>
      [...text.matchAll(/^ *([\w-]+): write\b/gm)].map(([, right]) => `${name}: ${right}`),
    )
    expect(writes).to.deep.equal(['release.yml: id-token'])
  })

  it('publish the tested package with provenance, without a token', () => {
    const commands = [...release.matchAll(/^ +(?:- )?run: (.*)$/gm)].map(([, command]) => command)
    expect(commands.at(-1)).to.equal('npm publish --provenance --access public')
    expect(commands).to.include.members(['npm run lint', 'npm test'])
    expect(release).not.to.match(/secrets\.|NODE_AUTH_TOKEN/)
    expect(manifest.publishConfig).to.deep.equal({ provenance: true })
  })
})

/** esbuild's script only makes it start faster: the tests pass after `npm ci --ignore-scripts`. */
const WITHOUT_SCRIPT = new Set(['node_modules/esbuild'])

for (const folder of ['', 'bench/', 'test/node22/', 'trials/upstreams/packages/', 'trials/hosts/packages/']) {
  describe(`${folder}package-lock.json`, () => {
    const lock = JSON.parse(readText(`${folder}package-lock.json`)) as Lock
    const { '': own, ...others } = lock.packages
    // A folder of the repository has nothing to be compared with.
    const fetched = Object.entries(others).filter(
      ([path, { link }]) => path.includes('node_modules/') && link !== true,
    )

    it('belongs to the package.json beside it', () => {
      const { dependencies, devDependencies } = JSON.parse(readText(`${folder}package.json`)) as LockedPackage
      expect([own?.dependencies, own?.devDependencies]).to.deep.equal([dependencies, devDependencies])
    })

    it('has one exact version of each package, with its integrity hash', () => {
      expect(fetched).to.have.length.above(10)
      const loose = fetched.filter(
        ([, { version = '', integrity = '' }]) =>
          !/^\d+\.\d+\.\d+(?:-[\w.-]+)?(?:\+[\w.]+)?$/.test(version) ||
          !/^sha512-[\w+/]{86}==$/.test(integrity),
      )
      expect(loose).to.deep.equal([])
    })

    it('has no package that needs to run a script when it is installed', () => {
      const running = fetched.filter(([, { hasInstallScript }]) => hasInstallScript === true)
      expect(running.map(([path]) => path).filter((path) => !WITHOUT_SCRIPT.has(path))).to.deep.equal([])
    })
  })
}

describe('the package', () => {
  it('runs nothing when it is installed', () => {
    expect(
      Object.keys(manifest.scripts).filter((name) => /^(?:pre|post)?install$|^prepare$/.test(name)),
    ).to.deep.equal([])
  })
})
