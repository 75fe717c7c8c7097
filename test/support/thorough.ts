/** `SLUICEWAY_THOROUGH=1 npm test` runs in full the tests that `npm test` only samples. */
export const isThorough: boolean = process.env['SLUICEWAY_THOROUGH'] === '1'
