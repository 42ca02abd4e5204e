// Modules that scripts/ make while building.

declare module 'virtual:emoji-list' {
  /** `[emoji, name, further words, group]` in the order of keyboards. */
  const list: [emoji: string, name: string, words: string, group: number][];
  export default list;
}
