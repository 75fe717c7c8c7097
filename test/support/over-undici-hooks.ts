const CLIENT = '/upstream/http1/client.js'
/** Not those of the CommonJS copy, which cannot load what takes its place. */
const SETTINGS = '/dist/esm/passthrough-proxy/settings.js'
const substitute = new URL('undici-client.js', import.meta.url).href

type Resolve = (specifier: string, context: { parentURL?: string }) => unknown

/** Leads the proxy's settings to a client on undici; all others to what they ask for. */
export function redirect(specifier: string, context: { parentURL?: string }, next: Resolve): unknown {
  const isProxys = specifier.endsWith(CLIENT) && context.parentURL?.endsWith(SETTINGS)
  return next(isProxys === true ? substitute : specifier, context)
}

export { redirect as resolve }
