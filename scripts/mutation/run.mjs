// Mutation testing: changes one expression of lib after the other, and tells which changes no test notices.
//   npm run mutation                                    which parts there are
//   npm run mutation -- auto-flush                      a part, with the tests of that part
//   npm run mutation -- auto-flush heartbeat streaming  only these files of it; `heartbeat:40-55` only these lines
// CONTRIBUTING.md tells what to do with the answer.
import { existsSync } from 'node:fs'
import { Stryker } from '@stryker-mutator/core'

/** Options, errors and what we know of Node are used by all. */
const everybodys = [
  'max-bytes',
  'body-cache',
  'auto-flush',
  'pipe-child',
  'passthrough-proxy',
  'attach',
  'combined',
  'faults',
  'regressions',
  'observing',
]

/** Of each part of lib, the folders of test, or files in them, that can notice a change of it. */
const testsOf = {
  'max-bytes': ['max-bytes', 'body-cache/hosts/function-adapters', 'observing/bodies'],
  'body-cache': ['body-cache', 'observing/bodies'],
  'auto-flush': ['auto-flush', 'regressions', 'observing/flush-child-upgrade'],
  'pipe-child': ['pipe-child', 'observing/flush-child-upgrade'],
  attach: [
    'attach',
    'combined',
    'observing',
    'passthrough-proxy/{options/names-elsewhere,tracing/tracing-outcomes,tunnels}',
    'regressions/{cve-2026-1527-*,golang-80416-h2c,pipelined-upgrade,proxy-unwritable-101}',
  ],
  body: [
    'max-bytes',
    'body-cache',
    'passthrough-proxy',
    'attach',
    'combined',
    'faults',
    'regressions',
    'observing',
  ],
  node: everybodys,
  shared: everybodys,
  'passthrough-proxy': ['passthrough-proxy', 'regressions', 'attach', 'combined', 'faults'],
}

/** Tests in which another process runs the code, which never sees a change, and those that take seconds each or look at a clock. */
const useless = [
  'chromium',
  'max-bytes/clients',
  'leaks',
  'matrix',
  'memory',
  'nginx',
  'leaving-clients',
  'block-buffered',
  'shutdown',
  'never-started',
  'slow-link',
]

const [part, ...names] = process.argv.slice(2)
if (!Object.hasOwn(testsOf, part ?? '')) {
  console.error(`usage: npm run mutation -- <${Object.keys(testsOf).join('|')}> [file[:from-to] …]`)
  process.exit(2)
}

await new Stryker({
  mutate: names.length > 0 ? names.map(fileOf) : [`lib/${part}.ts`, `lib/${part}/**/*.ts`],
  testRunner: 'mocha',
  mochaOptions: {
    'no-config': true,
    spec: testsOf[part].map((name) => `build/test/${name}{.test.js,/**/*.test.js}`),
    ignore: useless.map((name) => `build/test/**/*${name}.test.js`),
    require: ['./build/test/support/no-mishaps.js', './scripts/mutation/test-hooks.mjs'],
  },
  plugins: ['@stryker-mutator/mocha-runner', './scripts/mutation/debug-text.mjs'],
  ignorers: ['debug-text'],
  coverageAnalysis: 'perTest',
  // What runs once when a module is loaded can only be changed in a fresh process, with all tests for each change.
  ignoreStatic: true,
  // Tests wait more than they compute; a third process would still make those wait that look at a clock.
  concurrency: 2,
  // A change of a module's state stays for the changes after it, whose tests then fail for nothing.
  maxTestRunnerReuse: 12,
  timeoutMS: 10_000,
  dryRunTimeoutMinutes: 15,
  ignorePatterns: ['dist', 'build', '.recipes', 'bench'],
  buildCommand: 'node scripts/mutation/build.mjs',
  symlinkNodeModules: false, // it would come after the build, which needs it
  disableTypeChecks: 'lib/**/*.ts',
  tsconfigFile: 'none.json', // TypeScript 7 has no API to read one
  reporters: ['clear-text', 'progress-append-only', 'json', 'html'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: `build/mutation/${part}.json` },
  htmlReporter: { fileName: `build/mutation/${part}.html` },
}).runMutationTest()

/** `heartbeat:40-55` -> `lib/auto-flush/heartbeat.ts:40-55`; the part's own name is its main file. */
function fileOf(name) {
  const [, file, lines] = /^([^:]*)(:.*)?$/.exec(name)
  const path = [`lib/${part}/${file}.ts`, `lib/${file}.ts`].find((candidate) => existsSync(candidate))
  if (path === undefined) throw new Error(`there is no lib/${part}/${file}.ts`)
  return path + (lines ?? '')
}
