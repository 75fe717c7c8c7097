// One entry in a process of its own: `node serve.mjs <entry> <URL of the upstream>`.
import { listen, report } from '../measure/usage.mjs'

const [name, upstream] = process.argv.slice(2)
const { createServer } = await import(`./${name}.mjs`)
report(await listen(await createServer(upstream)))
