// One entry in a process of its own: `node serve.mjs <entry> <URL of the upstream> <connections to it>`.
import { listen, report } from '../measure/usage.mjs'

const [name, upstream, connections] = process.argv.slice(2)
const { createServer } = await import(`./${name}.mjs`)
report(await listen(await createServer(upstream, Number(connections))))
