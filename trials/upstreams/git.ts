import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { startNginx } from './nginx-server.js'
import { freePort, printed, requireProgram, startServer, temporaryFolder } from './program.js'
import { proxyTo, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'

const run = promisify(execFile)
const LARGE = 20_000_000

/** git's smart HTTP: clone, fetch and push, through the CGI program that comes with git. */
export async function git(trial: Trial): Promise<void> {
  const program = requireProgram('git', 'git')
  const backend = requireProgram('git-http-backend', 'git')
  trial.server = printed(program, '--version')
  const served = { lighttpd: behindLighttpd, 'nginx and fcgiwrap': behindNginx }
  for (const [name, serve] of Object.entries(served)) {
    const projects = temporaryFolder()
    chmodSync(projects, 0o755)
    const direct = await serve(backend, projects)
    if (direct === undefined) trial.note(`${name} is not installed`)
    else await new Session(trial, name, { program, projects, direct }).run()
  }
}

async function behindLighttpd(backend: string, projects: string): Promise<string | undefined> {
  if (!existsSync('/usr/sbin/lighttpd')) return undefined
  const port = await freePort()
  const file = path.join(temporaryFolder(), 'lighttpd.conf')
  writeFileSync(
    file,
    `server.modules = ("mod_cgi", "mod_alias", "mod_setenv")
server.document-root = "${projects}"
server.bind = "127.0.0.1"
server.port = ${port}
server.stream-response-body = 1
alias.url = ("/git" => "${backend}")
$HTTP["url"] =~ "^/git" {
  cgi.assign = ("" => "")
  setenv.set-environment = ("GIT_PROJECT_ROOT" => "${projects}", "GIT_HTTP_EXPORT_ALL" => "1")
}`,
  )
  await startServer('/usr/sbin/lighttpd', ['-D', '-f', file], port)
  return `http://127.0.0.1:${port}`
}

async function behindNginx(backend: string, projects: string): Promise<string | undefined> {
  if (!existsSync('/usr/sbin/fcgiwrap') || !existsSync('/usr/sbin/nginx')) return undefined
  const socket = path.join(temporaryFolder(), 'fcgi.sock')
  await startServer('/usr/sbin/fcgiwrap', ['-c', '4', '-s', `unix:${socket}`], socket)
  const { url } = await startNginx(`location ~ /git(/.*) {
    client_max_body_size 0; fastcgi_pass unix:${socket}; fastcgi_request_buffering off;
    fastcgi_param SCRIPT_FILENAME ${backend}; fastcgi_param PATH_INFO $1;
    fastcgi_param GIT_PROJECT_ROOT ${projects}; fastcgi_param GIT_HTTP_EXPORT_ALL 1;
    fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
    fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
    fastcgi_param GIT_PROTOCOL $http_git_protocol; fastcgi_param REMOTE_ADDR $remote_addr;
  }`)
  return url
}

interface Place {
  readonly program: string
  readonly projects: string
  readonly direct: string
}

/** What a developer does with one repository. */
class Session {
  private readonly trial: Trial
  private readonly name: string
  private readonly place: Place
  private readonly folder = temporaryFolder()

  constructor(trial: Trial, name: string, place: Place) {
    this.trial = trial
    this.name = name
    this.place = place
  }

  async run(): Promise<void> {
    const { projects, direct } = this.place
    const proxy = await proxyTo(direct)
    const bare = path.join(projects, 'project.git')
    await this.git('', 'init', '--bare', '-b', 'main', bare)
    await this.git(bare, 'config', 'http.receivepack', 'true')
    const far = `${proxy.url}/git/project.git`
    await this.step('clone of an empty repository', () => this.git('', 'clone', far, 'work'))
    await this.pushes()
    await this.clones(far, `${direct}/git/project.git`)
    const codes = takeCodes(proxy)
    this.trial.holds(`${this.name}: no errors`, codes.length === 0, () => codes.join(', '))
  }

  /** One in a request with a length; a large one in chunks, behind a probe; one that goes nowhere. */
  private async pushes(): Promise<void> {
    await this.commit('small.txt', Buffer.from('a line\n'))
    await this.step('push', () => this.git('work', 'push', 'origin', 'HEAD:main'))
    await this.commit('large.bin', randomBytes(LARGE))
    await this.step('push of 20 MB in chunks', () => this.git('work', 'push', 'origin', 'HEAD:main'))
    await this.step('push of a tag', () => this.git('work', 'push', 'origin', 'HEAD:refs/tags/v1'))
    await this.git('work', 'commit', '--amend', '-m', 'another history')
    const refused = await this.git('work', 'push', 'origin', 'HEAD:main').catch(
      (error: Error) => error.message,
    )
    this.trial.holds(
      `${this.name}: a push that is refused says so`,
      refused.includes('[rejected]'),
      () => refused,
    )
  }

  private async clones(far: string, direct: string): Promise<void> {
    await this.step('clone', () => this.git('', 'clone', far, 'proxied'))
    await this.git('', 'clone', direct, 'direct')
    const [one, other] = [await this.state('direct'), await this.state('proxied')]
    this.trial.same(`${this.name}: both clones are the same`, one, other)
    await this.step('shallow clone', () => this.git('', 'clone', '--depth', '1', far, 'shallow'))
    await this.step('fetch of the rest', () => this.git('shallow', 'fetch', '--unshallow'))
    await this.step('clone by protocol 0', () =>
      this.git('', '-c', 'protocol.version=0', 'clone', far, 'old'),
    )
    const none = await this.git('', 'clone', `${far}-none`, 'none').catch((error: Error) => error.message)
    this.trial.holds(
      `${this.name}: a repository that is not there`,
      /not found|403|404/.test(none),
      () => none,
    )
  }

  private async commit(name: string, content: Buffer): Promise<void> {
    writeFileSync(path.join(this.folder, 'work', name), content)
    await this.git('work', 'add', name)
    await this.git('work', 'commit', '-m', name)
  }

  private async state(clone: string): Promise<string> {
    return `${await this.git(clone, 'rev-parse', 'HEAD', 'HEAD^{tree}', 'v1')} ${await this.git(clone, 'fsck')}`
  }

  private async step(what: string, work: () => Promise<unknown>): Promise<void> {
    const failed = await work().then(() => undefined, String)
    this.trial.holds(`${this.name}: ${what}`, failed === undefined, () => failed!)
  }

  private async git(where: string, ...args: readonly string[]): Promise<string> {
    const { stdout } = await run(this.place.program, args, {
      cwd: path.resolve(this.folder, where),
      timeout: 60_000,
      env: {
        ...process.env,
        HOME: this.folder,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_TERMINAL_PROMPT: '0',
        ...named('AUTHOR'),
        ...named('COMMITTER'),
      },
    })
    return stdout.trim()
  }
}

function named(role: string): Record<string, string> {
  return { [`GIT_${role}_NAME`]: 'Somebody', [`GIT_${role}_EMAIL`]: 'somebody@a.example' }
}
