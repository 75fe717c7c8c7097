/** `SLUICEWAY_THOROUGH=1 npm test` runs in full what a test run else takes a sample of. */
export const isThorough: boolean = process.env['SLUICEWAY_THOROUGH'] === '1'
