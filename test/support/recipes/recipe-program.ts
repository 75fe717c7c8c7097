/* The process of a `RecipeProcess`: serves the app of one recipe, and sends its port and what it prints. */

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { format } from 'node:util'

const [, , recipe = ''] = process.argv

console.dir = (printed: unknown) => void process.send?.({ printed })
console.info = console.warn = (...words) => void process.send?.({ printed: format(...words) })

const { app } = (await import(`../../../.recipes/${recipe}.js`)) as { app: RequestListener & { set: Setter } }
app.set('env', 'test') // Express logs no errors then
const server = createServer(app).listen(0, '127.0.0.1')
await once(server, 'listening')
process.send?.({ port: (server.address() as AddressInfo).port })
process.on('disconnect', () => process.exit())

type Setter = (name: string, value: string) => void
