/** What `debug(…)` is given is for people's eyes, and off unless they ask: a test of each word would guard nothing. */
const debugText = {
  shouldIgnore({ node }) {
    const isDebug = node.type === 'CallExpression' && /^(?:debug|createDebug)$/.test(node.callee.name ?? '')
    // Functions that put such a text together are called so.
    const makesText = node.type === 'FunctionDeclaration' && /^debug[A-Z]/.test(node.id?.name ?? '')
    // The second argument is the line of a channel.
    const isChannel = node.type === 'NewExpression' && node.callee.name === 'Observation'
    return isDebug || makesText || isChannel ? 'text for DEBUG=' : undefined
  },
}

export const strykerPlugins = [{ kind: 'Ignore', name: 'debug-text', value: debugText }]
