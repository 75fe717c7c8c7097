import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { freePort, printed, requireProgram, startServer, temporaryFolder } from './program.js'

/** An nginx with a master process, so that it can be reloaded. */
export interface NginxServer {
  readonly url: string
  readonly port: number
  readonly version: string
  /** The folder of its configuration and logs. */
  readonly folder: string
  readonly child: ChildProcess
  /** Starts it again, after its end. */
  readonly restart: () => Promise<ChildProcess>
}

/** Starts an nginx with these lines in its only server; `http` stands around it. */
export async function startNginx(lines: string, http = ''): Promise<NginxServer> {
  const program = requireProgram('nginx', 'nginx-light')
  const [port, folder] = [await freePort(), temporaryFolder()]
  const file = path.join(folder, 'nginx.conf')
  writeFileSync(file, configuration(folder, `listen 127.0.0.1:${port}; ${lines}`, http))
  const restart = (): Promise<ChildProcess> => startServer(program, ['-p', folder, '-c', file], port)
  const child = await restart()
  return { url: `http://127.0.0.1:${port}`, port, version: printed(program, '-v'), folder, child, restart }
}

function configuration(folder: string, server: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  // Debian's workers run as www-data, who may not read a temporary folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `daemon off; ${user} worker_processes 2; pid ${folder}/pid; error_log ${folder}/error.log;
    events {}
    http { access_log off; default_type text/plain; ${temporary.join(' ')} ${http} server { ${server} } }`
}
