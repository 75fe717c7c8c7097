/*
 * The secrets of the examples and recipes, which throw without them when they are loaded. Import this module before
 * any of them.
 */

const secrets = {
  SECRET: 'sesame',
  WEBHOOK_SECRET: 'sesame',
  STRIPE_SECRET: 'whsec_sesame',
  GITHUB_SECRET: 'sesame',
  SLACK_SECRET: 'sesame',
  ADAS_KEY: 'sesame',
  API_KEY: 'none',
}

Object.assign(process.env, secrets)
