// The upstream in Node: for events, for the checks, and for everything where there is no nginx.
import { createServer } from 'node:http'
import { answerCheck } from '../correctness/answers.mjs'
import { listen, report } from '../measure/usage.mjs'
import { answer } from './answers.mjs'

const server = createServer((req, res) => {
  if (!answer(req, res) && !answerCheck(req, res)) res.writeHead(404).end(`nothing at ${req.url}`)
})
report(await listen(server))
