import { tests } from '../../.recipes/test-your-app.js'

describe('recipe: test your own application', () => {
  const { error } = console
  before(() => (console.error = () => {})) // Express prints the errors of an application that is not in its test mode
  after(() => (console.error = error))

  for (const [title, test] of Object.entries(tests)) it(title, test)
})
