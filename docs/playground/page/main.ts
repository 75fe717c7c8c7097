/** Brings the page to life: the commands first, then each panel. */
import { prepareCommands } from './commands.js'

prepareCommands()
await Promise.all([
  import('./panels/events.js'),
  import('./panels/command.js'),
  import('./panels/upload.js'),
  import('./panels/body.js'),
  import('./panels/proxy.js'),
  import('./panels/socket.js'),
  import('./panels/duplex.js'),
])
