/** A part of a report in words, before it is text, markdown or HTML. Nothing in it is escaped. */
export interface Section {
  /** Unique in the report; letters and hyphens. */
  readonly id: string
  readonly title: string
  readonly columns: readonly Column[]
  /** A text for each column. */
  readonly rows: readonly (readonly string[])[]
  /** A sentence instead of a table without rows. */
  readonly none: string
  /** Sentences below it. */
  readonly notes: readonly string[]
}

export interface Column {
  readonly title: string
  readonly align?: 'right'
}

/** How one kind of thing is shown, column by column. */
export interface Shown<Item> extends Column {
  readonly value: (item: Item) => string | number | null
}

export function section<Item>(
  name: Pick<Section, 'id' | 'title' | 'none'>,
  items: readonly Item[],
  columns: readonly Shown<Item>[],
  notes: readonly string[] = [],
): Section {
  return {
    ...name,
    columns: columns.map(({ title, align }) =>
      align === undefined ? { title } : { title, align },
    ),
    rows: items.map((item) => columns.map(({ value }) => String(value(item) ?? '-'))),
    notes,
  }
}
