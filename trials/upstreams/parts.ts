import { Failures } from '../hostile/failures.js'
import { MishapLog, kindOf } from '../hostile/mishap-log.js'
import { Skipped, Trial } from './trial.js'

export type Part = (trial: Trial) => Promise<void>

/** The servers and applications, by name. Each is loaded when it is run. */
export const parts: Readonly<Record<string, () => Promise<Part>>> = {
  nginx: async () => (await import('./nginx.js')).nginx,
  'nginx under load': async () => (await import('./nginx-load.js')).nginxUnderLoad,
  node: async () => (await import('./node.js')).node,
  python: async () => (await import('./python.js')).python,
  go: async () => (await import('./go.js')).go,
  apache: async () => (await import('./apache.js')).apache,
  lighttpd: async () => (await import('./lighttpd.js')).lighttpd,
  gunicorn: async () => (await import('./applications.js')).gunicorn,
  php: async () => (await import('./applications.js')).php,
  haproxy: async () => (await import('./applications.js')).haproxy,
  tls: async () => (await import('./tls.js')).tls,
  git: async () => (await import('./git.js')).git,
  'socket.io': async () => (await import('./socket-io.js')).socketIo,
  vite: async () => (await import('./vite.js')).vite,
  tus: async () => (await import('./tus.js')).tus,
  websocket: async () => (await import('./websocket.js')).websocket,
  'event streams': async () => (await import('./event-streams.js')).eventStreams,
  docker: async () => (await import('./docker.js')).docker,
}

/** Runs one part, prints what it found, and returns true where that is nothing. */
export async function runPart(name: string): Promise<boolean> {
  const log = new MishapLog()
  log.watch()
  const failures = new Failures()
  const trial = new Trial(failures)
  try {
    const part = await parts[name]!()
    await part(trial)
  } catch (error) {
    if (error instanceof Skipped) return skip(name, error.message)
    trial.holds('the part has ended with an error', false, () => String((error as Error).stack))
  }
  for (const mishap of log.take()) trial.holds(kindOf(mishap), false)
  report(name, trial, failures)
  return failures.total === 0
}

function skip(name: string, reason: string): true {
  console.log(`${name}: skipped: ${reason}`)
  return true
}

function report(name: string, { server, cases, seconds }: Trial, failures: Failures): void {
  const summary = `${name} (${server}): ${cases} cases in ${seconds} s, ${failures.total} failures`
  console.log([summary, ...failures.lines()].join('\n'))
}
