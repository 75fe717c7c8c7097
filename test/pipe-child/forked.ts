/* A child of `fork`, whose channel to its parent stays open until it exits. */
process.on('message', () => {})
process.stdout.write('said\n', () => process.exit(6))
