import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import express, { Router } from 'express'
import { securityHeaders } from './security-headers.js'

/** This file runs as build/docs/playground/page.js. The page's scripts are compiled beside it; the rest is the source. */
const source = new URL('../../../docs/playground/page/', import.meta.url)
const scripts = new URL('page/', import.meta.url)

/** In the order of the page. Each has a fragment of HTML, a script and routes of that name. */
const panels = ['events', 'command', 'deploy', 'upload', 'body', 'proxy', 'changed', 'socket', 'duplex']

/** The page, its styles and its scripts. */
export async function pageRoutes(): Promise<Router> {
  const html = await assemblePage()
  const routes = Router()
  routes.get('/', securityHeaders, (req, res) => res.type('html').send(html))
  routes.use('/page', express.static(fileURLToPath(scripts), { index: false }))
  routes.use('/page/styles', express.static(fileURLToPath(new URL('styles/', source)), { index: false }))
  routes.get('/icon.svg', (req, res) => res.sendFile(fileURLToPath(new URL('icon.svg', source))))
  return routes
}

/** The shell, with every panel's fragment in its place. */
async function assemblePage(): Promise<string> {
  const shell = await readFile(new URL('shell.html', source), 'utf8')
  const fragments = panels.map((name) => readFile(new URL(`panels/${name}.html`, source), 'utf8'))
  const all = (await Promise.all(fragments)).join('\n')
  return shell.replace('<!-- panels -->', () => all) // as it is: "$'" in a command would mean something in a text
}
