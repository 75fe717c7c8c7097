/** A number of bytes that several bodies share. */
export class ByteBudget {
  private left: number

  constructor(bytes: number) {
    this.left = bytes
  }

  /** Takes `bytes`, all or none. Returns false if fewer are left. */
  take(bytes: number): boolean {
    if (bytes > this.left) return false
    this.left -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.left += bytes
  }
}
