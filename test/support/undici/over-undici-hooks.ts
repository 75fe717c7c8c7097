const CLIENT = '/upstream/http1/client.js'
/** Only those of the ES module copy: the CommonJS copy cannot load the replacement. */
const SETTINGS = '/dist/esm/passthrough-proxy/settings.js'
const substitute = new URL('undici-client.js', import.meta.url).href

type Resolve = (specifier: string, context: { parentURL?: string }) => unknown

/** Resolves the client of the proxy's settings to one over undici, and every other import as usual. */
export function redirect(specifier: string, context: { parentURL?: string }, next: Resolve): unknown {
  const isProxys = specifier.endsWith(CLIENT) && context.parentURL?.endsWith(SETTINGS)
  return next(isProxys === true ? substitute : specifier, context)
}

export { redirect as resolve }
