// One entry that carries WebSockets, in a process of its own: `node serve-websockets.mjs <entry> <URL of the upstream>`.
import { listen, report } from '../measure/usage.mjs'
import { servers } from './websockets.mjs'

const [name, upstream] = process.argv.slice(2)
report(await listen(await servers[name](upstream)))
