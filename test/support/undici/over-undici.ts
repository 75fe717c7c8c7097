// Preloaded with `--import`, it replaces the proxy's own client by a dispatcher of undici for a whole test run.
import * as nodeModule from 'node:module'

const hooks = new URL('over-undici-hooks.js', import.meta.url)

// Node 20 has no hooks in this thread, and later versions warn about hooks in another.
if ('registerHooks' in nodeModule) {
  const { redirect } = await import(hooks.href)
  ;(nodeModule as { registerHooks(hooks: object): void }).registerHooks({ resolve: redirect })
} else {
  ;(nodeModule as { register(url: URL): void }).register(hooks)
}
