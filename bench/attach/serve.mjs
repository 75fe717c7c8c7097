// One server of bench/attach.mjs in a process of its own: `node serve.mjs <title> <URL of the upstream>`.
import { listen, report } from '../measure/usage.mjs'
import { own, proxies } from './servers.mjs'

const [name, upstream] = process.argv.slice(2)
report(await listen(await { ...own, ...proxies }[name](upstream)))
