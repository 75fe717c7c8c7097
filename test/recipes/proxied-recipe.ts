import type { RequestListener } from 'node:http'
import type { Express } from 'express'
import { RawClient } from '../support/clients/raw-client.js'
import { scriptedUpstream, type ScriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** A recipe that is a proxy, between a client and an upstream. */
export interface ProxiedRecipe {
  readonly upstream: ScriptedUpstream
  /** The port of the recipe, new for each test like the connection to it. */
  readonly port: number
  readonly client: RawClient
}

/**
 * Starts a recipe for the tests of a suite: `load` imports it, with an upstream of ours in its environment, at `path`
 * if one is given.
 */
export function proxiedRecipe(load: () => Promise<{ app: Express }>, path = ''): ProxiedRecipe {
  const recipe = {} as { -readonly [Key in keyof ProxiedRecipe]: ProxiedRecipe[Key] }
  let app: Express
  before(async () => {
    recipe.upstream = await scriptedUpstream()
    process.env['UPSTREAM'] = recipe.upstream.url + path
    ;({ app } = await load())
    app.set('env', 'test')
    delete process.env['UPSTREAM']
  })
  beforeEach(async () => {
    recipe.port = (await serve(app as RequestListener)).port
    recipe.client = await RawClient.connect(recipe.port)
  })
  afterEach(() => recipe.client.destroy())
  after(closeServers)
  return recipe
}
