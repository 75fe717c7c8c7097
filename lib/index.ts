export * from './auto-flush.js'
