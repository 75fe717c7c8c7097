// Preloaded with `--import`, it puts a dispatcher of undici in the place of the proxy's own client, for all of a test run.
import * as nodeModule from 'node:module'

const hooks = new URL('over-undici-hooks.js', import.meta.url)

// Node 20 has no hooks in this thread, and later versions warn of those in another.
if ('registerHooks' in nodeModule) {
  const { redirect } = await import(hooks.href)
  ;(nodeModule as { registerHooks(hooks: object): void }).registerHooks({ resolve: redirect })
} else {
  ;(nodeModule as { register(url: URL): void }).register(hooks)
}
