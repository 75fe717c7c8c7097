/** The place of an item in a list. */
export interface Linked<Item> {
  before: Item | undefined
  after: Item | undefined
  isListed: boolean
}

/**
 * A list of items that join and leave it all the time, in the order in which they joined.
 *
 * A Set or a Map would keep removed items alive. After as many deletions as it has room for, it moves to a new
 * table, and V8 lets the old table point to the new one. A table in the old generation is collected only by a major
 * collection. Until then it keeps all later tables alive, with everything in them, and each scavenge copies all
 * requests of the last seconds.
 */
export class LinkedList<Item extends Linked<Item>> {
  size = 0
  first: Item | undefined
  private last: Item | undefined

  /** Adds an item that is not in the list. */
  add(item: Item): void {
    item.isListed = true
    item.before = this.last
    if (this.last === undefined) this.first = item
    else this.last.after = item
    this.last = item
    this.size += 1
  }

  /** Removes an item, and its links to others. Returns false if it is not in the list. */
  delete(item: Item): boolean {
    if (!item.isListed) return false
    const { before, after } = item
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    item.isListed = false
    item.before = undefined
    item.after = undefined
    this.size -= 1
    return true
  }

  /** Returns the items as they are now. */
  toArray(): Item[] {
    const items: Item[] = []
    for (let item = this.first; item !== undefined; item = item.after) items.push(item)
    return items
  }
}
