// A directory for the files of bodyCache, and a server that stores bodies there.
import { bodyCache, type BodyCacheOptions } from 'sluiceway/body-cache'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { emptyDirectory, removeDirectories } from '../../support/process/temporary-files.js'
import { closeServers, serve, type TestServer } from '../../support/servers/servers.js'

export const describeOnLinux = process.platform === 'linux' ? describe : describe.skip
if (process.platform !== 'linux') console.log('skipped: the storage of bodyCache is looked at in /proc')

/** What each test of a suite gets anew. */
export interface Given {
  readonly directory: string
  /** Serves handlers behind a bodyCache that stores in `directory`. */
  readonly upload: (options: BodyCacheOptions, ...handlers: Handler[]) => Promise<TestServer>
}

/** Gives each test of a suite an empty directory, which is removed behind it, as servers are closed. */
export function giveEach(take: (given: Given) => void): void {
  beforeEach(() => {
    const directory = emptyDirectory()
    take({
      directory,
      upload: (options, ...handlers) =>
        serve(hosts[0]!.mount(bodyCache({ directory, ...options }), ...handlers)),
    })
  })
  afterEach(closeServers)
  afterEach(removeDirectories)
}
