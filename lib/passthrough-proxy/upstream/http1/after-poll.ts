/**
 * Runs a step once all sockets have been read again: this turn of the event loop ends before that, the next one behind
 * it.
 */
export function afterPoll<Subject>(step: (subject: Subject) => void, subject: Subject): void {
  setImmediate(again<Subject>, step, subject)
}

function again<Subject>(step: (subject: Subject) => void, subject: Subject): void {
  setImmediate(step, subject)
}
