/** Commands to paste into a terminal: they name this very server, and each has a button that copies it. */
import { html, need } from './elements.js'

const shownMs = 2500

/** Fills in the server's address, and adds the buttons. */
export function prepareCommands(): void {
  for (const root of document.querySelectorAll<HTMLElement>('[data-command]')) {
    const code = need(root, 'code')
    code.textContent = code.textContent.replaceAll('{origin}', location.origin)
    root.append(copyButton(root, code))
  }
}

/** Replaces the text of a command. */
export function setCommand(root: HTMLElement, text: string): void {
  need(root, 'code').textContent = text
}

/** Quotes a text for a shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function copyButton(root: HTMLElement, code: HTMLElement): HTMLElement {
  const label = html('span', {}, 'Copy')
  const title = need(root, 'h4').textContent.toLowerCase()
  const button = html(
    'button',
    { type: 'button', class: 'quiet', 'data-copy': true },
    label,
    ' ',
    html('span', { class: 'unseen' }, `the command: ${title}`),
  )
  const said = html('span', { class: 'unseen', role: 'status' })
  const announce = (shown: string, spoken: string): void => {
    label.textContent = shown
    said.textContent = spoken
  }
  let timer = 0
  const copyAndTell = async (): Promise<void> => {
    if (await copy(code)) announce('Copied', 'The command is copied')
    else announce('Press Ctrl+C', 'The command is selected: press Control and C')
    clearTimeout(timer)
    timer = setTimeout(() => announce('Copy', ''), shownMs)
  }
  button.addEventListener('click', () => void copyAndTell())
  const holder = html('div', { class: 'copy' })
  holder.append(button, said)
  return holder
}

/** Pages that are neither https nor localhost have no clipboard: there the command is selected instead. */
async function copy(code: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(code.textContent)
    return true
  } catch {
    getSelection()?.selectAllChildren(code)
    return false
  }
}
