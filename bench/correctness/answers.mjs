export function answerCheck() { return false }
