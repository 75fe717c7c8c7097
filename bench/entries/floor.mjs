// The floor: what Express costs that gives the upstream's answer itself.
import { answer } from '../upstream/answers.mjs'
import { expressServer } from './express-server.mjs'

export function createServer() {
  return expressServer((app) => app.use((req, res, next) => answer(req, res) || next()))
}
