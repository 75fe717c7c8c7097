/** Brings the page to life: each panel by itself, then the commands of all. */
import { prepareCommands } from './commands.js'
import './panels/body.js'
import './panels/changed.js'
import './panels/command.js'
import './panels/deploy.js'
import './panels/duplex.js'
import './panels/events.js'
import './panels/proxy.js'
import './panels/socket.js'
import './panels/upload.js'

prepareCommands()
