// Compiled, never run: the streams and forms of req.bodyCache go wherever the platform's own do, whether or not the program has
// the library "dom", whose web streams are other types than Node's.
import { Readable } from 'node:stream'
import express from 'express'
import { bodyCache } from 'sluiceway'

const app = express().use(bodyCache())
app.post('/', async (req, res) => {
  const stream: ReadableStream<Uint8Array> = req.bodyCache.web()
  await new Response(req.bodyCache.web()).text()
  await fetch('http://other', { method: 'POST', body: stream })
  await fetch('http://other', { method: 'POST', body: await req.bodyCache.formData() })
  await new Response(await req.bodyCache.blob()).arrayBuffer()
  req.bodyCache.web().pipeThrough(new TextDecoderStream())
  req.bodyCache.web().pipeThrough(new DecompressionStream('gzip'))
  for await (const chunk of req.bodyCache.web()) res.write(chunk.subarray(1))
  Readable.fromWeb(req.bodyCache.web()).pipe(res)
})
