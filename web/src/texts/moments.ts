// Words of the page with the recorded moments.

export const momentsTexts = {
  title: 'Moments',
  range: 'Show',
  ranges: {
    1: 'the last hour',
    24: 'the last 24 hours',
    168: 'the last 7 days',
    0: 'everything',
  } as Record<number, string>,
  none: 'No moment was recorded in this time.',
  some: (count: number) =>
    `${count.toLocaleString('en')} ${count === 1 ? 'moment' : 'moments'}, newest first`,
  first: (count: number) => `The newest ${count.toLocaleString('en')} moments`,
  more: 'Show older ones',
  people: (count: number, written: string) => `${written} ${count === 1 ? 'person' : 'people'}`,
  strength: 'strength',
  hidden: 'hidden',
  hide: 'Hide',
  show: 'Show',
  edit: 'Rename or note',
  editing: (name: string) => `Rename or note: ${name}`,
  name: 'Title',
  note: 'Note',
  noteHint: 'For those who cut the recording',
  saved: 'Moment saved.',
  hiddenNow: 'The moment is hidden from viewers and exports.',
  shownNow: 'The moment is shown again.',

  export: {
    title: 'Take them away',
    lead: 'Files for editors and players, of the time chosen above. Hidden moments are left out.',
    began: 'Recording began',
    beganNeeded:
      'The channel has no time on record for this. Enter it for all files but the table and the data.',
    beganHint: 'Your time of day. Without it, the time that the channel has on record.',
    offset: 'Shift by',
    offsetHint: 'Such as 1:30, -12 or 0.5 seconds; later is positive.',
    offsetWrong: 'Enter seconds, or minutes and seconds as in 1:30.',
    fps: 'Frames per second',
    fpsHint: 'Only an EDL needs it.',
    download: (name: string) => `Download as ${name}`,
    formats: {
      youtube: ['YouTube chapters', 'Text for a video’s description'],
      vtt: ['WebVTT', 'Subtitles or chapters for players'],
      edl: ['EDL', 'Edit decision list for video editors'],
      csv: ['CSV', 'Table'],
      json: ['JSON', 'Data for programs'],
      ffmetadata: ['FFmetadata', 'Chapters for FFmpeg'],
    } as Record<string, [string, string]>,
  },
};
