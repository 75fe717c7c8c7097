import { sluicewayError } from '../../shared/errors.js'
import { HeaderList } from '../headers/header-list.js'
import { readResponseHeaders } from './headers.js'

/**
 * Returns the lines of a 101 for the client. Throws if the upstream has not switched to the protocol that was `asked`
 * for: a dispatcher does not check that, as the built-in client does.
 */
export function switchedLines(lines: string[], asked: string | undefined): string[] {
  const headers = new HeaderList(lines)
  const protocol = headers.getAll('upgrade').join(', ')
  if (protocol.toLowerCase() !== asked?.toLowerCase()) {
    throw refused(`it was asked for ${asked}, and switches to ${protocol || 'nothing'}`)
  }
  if (!hasOption(headers, 'upgrade')) throw refused("it has no 'Connection: upgrade'")
  const { lines: kept } = readResponseHeaders(lines)
  kept.push('Connection', 'Upgrade', 'Upgrade', protocol)
  return kept
}

function hasOption(headers: HeaderList, option: string): boolean {
  const options = headers.getAll('connection').join(',').toLowerCase().split(',')
  return options.some((each) => each.trim() === option)
}

function refused(reason: string): Error {
  return sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
    message: 'the upstream sent a 101 that does not switch to the requested protocol',
    cause: new Error(reason),
  })
}
