import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { bodyCache } from 'sluiceway/body-cache'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { serve } from '../../support/servers/servers.js'

export const TYPE = 'multipart/form-data; boundary=xx'

/** One part, whose content is 1 by default. */
export function part(disposition: string, content = '1', type?: string): string {
  const lines = type === undefined ? '' : `Content-Type: ${type}\r\n`
  return `--xx\r\nContent-Disposition: ${disposition}\r\n${lines}\r\n${content}\r\n`
}

export const END = '--xx--\r\n'

/** Each entry of a form: name and text, or name, file name, type and content as hex. */
export async function describeEntries(form: FormData): Promise<unknown[]> {
  return Promise.all(
    [...form].map(async ([name, value]) =>
      typeof value === 'string'
        ? [name, value]
        : [name, value.name, value.type, Buffer.from(await value.arrayBuffer()).toString('hex')],
    ),
  )
}

export async function readEntries(req: IncomingMessage): Promise<unknown> {
  return describeEntries(await req.bodyCache.formData())
}

/** Posts with a Content-Type that fetch would change, in UTF-8 unless the form is bytes. */
export async function posted(
  form: string | Buffer,
  type = TYPE,
): Promise<{ status: number; entries: unknown }> {
  const answer: Handler = (req, res) => {
    readEntries(req).then(
      (entries) => res.end(JSON.stringify(entries)),
      (error: { status: number; message: string }) => {
        res.statusCode = error.status
        res.end(JSON.stringify(error.message))
      },
    )
  }
  const { port } = await serve(hosts[0]!.mount(bodyCache(), answer))
  const sending = request({ host: '127.0.0.1', port, method: 'POST', headers: { 'Content-Type': type } })
  sending.end(form)
  const response = await new Promise<IncomingMessage>((resolve) => sending.once('response', resolve))
  return { status: response.statusCode!, entries: JSON.parse(await text(response)) }
}
