import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { root } from '../support/repository/repository.js'

/** The output of a benchmark run on a slice that is too small to measure times. */
async function bench(...args: string[]): Promise<string> {
  const quick = ['--dry', '--node-upstream', '--rounds', '1', '--scale', '0.005']
  const child = spawn(process.execPath, [`${root}/bench/run.mjs`, ...args, ...quick], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return await text(child.stdout)
}

describe('the benchmarks', function () {
  this.timeout(30_000)

  it('check, time and print a proxy next to the floor', async () => {
    const printed = await bench('proxy', '--works', 'get', '--entries', 'floor,sluiceway')
    expect(printed).to.match(/### GET, 300 bytes[^]*\*\*sluiceway\*\* \| [\d.,]+ \|.*\| 0 \|\n/)
    expect(printed).to.match(/10 MB up: the same hash \| yes \|/)
    expect(printed).to.not.include('**no**')
  })

  it('refuse a Node that is not the one it is said to be', async () => {
    const file = process.execPath
    const child = spawn(process.execPath, [
      `${root}/bench/run.mjs`,
      'report',
      '--dry',
      '--nodes',
      `1=${file}`,
    ])
    expect(await text(child.stderr)).to.include(`is Node ${process.versions.node}, not 1`)
  })

  it('ask at a fixed rate', async () => {
    const printed = await bench('latency', '--entries', 'floor,sluiceway,http-proxy')
    expect(printed).to.match(/\| sluiceway \| [\d.]+ \| [\d.]+ \|/)
    expect(printed).to.include(
      'medians of 1 rounds, each after 1,200 ms at the same rate that are not counted',
    )
  })

  it('hold many streams open, and deliver an event on each', async () => {
    const printed = await bench('idle-streams', '--entries', 'sluiceway')
    expect(printed).to.match(/\| sluiceway \| -?[\d.,]+ \| -?[\d.,]+ \| [\d.,]+ \| 0 \|/)
  })

  it('compare all four middlewares with their parts', async () => {
    expect(await bench('full-stack')).to.match(/\| all four \| [\d.,]+ \|/)
  })
})
