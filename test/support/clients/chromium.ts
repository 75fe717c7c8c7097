import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type BrowserContext, type BrowserContextOptions, chromium } from 'playwright-core'

const usualPlaces = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** The browser to test with: CHROMIUM_PATH, or the first one found in the usual places. */
export function findChromium(): string | undefined {
  const named = process.env['CHROMIUM_PATH']
  return named ?? usualPlaces.find((place) => existsSync(place))
}

/** Why a test that needs a browser is skipped. */
export const noChromium = 'no Chromium found: set CHROMIUM_PATH, or install Debian package chromium'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A headless browser with an empty profile. `close` ends it and removes the profile. */
export interface Browser {
  readonly context: BrowserContext
  readonly close: () => Promise<void>
}

/** Starts a headless browser. */
export async function openChromium(
  executablePath: string,
  options: BrowserContextOptions = {},
): Promise<Browser> {
  const profile = mkdtempSync(path.join(tmpdir(), 'sluiceway-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    ...options,
    executablePath,
    headless: true,
    args: flags,
  })
  const close = async (): Promise<void> => {
    await context.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  return { context, close }
}

/** The browser of a suite, in a `before` hook. Without a browser it skips the suite, and says so. */
export function requireChromium(suite: Mocha.Context): Promise<Browser> {
  const browser = findChromium()
  if (browser !== undefined) return openChromium(browser)
  console.log(`    skipped: ${noChromium}`)
  return suite.skip()
}
