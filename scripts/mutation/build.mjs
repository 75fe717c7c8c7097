// Builds the copy of the project that Stryker has made below this one, and in which lib has all its changes at once.
import { execFileSync } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'

symlinkSync('../../node_modules', 'node_modules')
// A declaration that wants a literal finds Stryker's choice of two in its place.
const config = readFileSync('tsconfig.json', 'utf8')
writeFileSync(
  'tsconfig.json',
  config.replace('"isolatedDeclarations": true', '"isolatedDeclarations": false'),
)
execFileSync('npm', ['run', 'build:test'], { stdio: 'inherit' })
