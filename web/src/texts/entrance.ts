// Words in front of the show: in line, and where one's own devices are in the way.

export const entranceTexts = {
  lineTitle: (place: string) => `You are number ${place} in line`,
  lineFacts: (place: number, written: string, waiting: string) =>
    place <= 1
      ? `You are next. ${waiting} waiting in all.`
      : `Number ${written} of ${waiting} waiting.`,
  lineNote:
    'Every place is taken. You come in by yourself when it is your turn: keep this page open, and nobody gets ahead of you.',
  devicesTitle: (count: number) =>
    count === 1 ? 'Your device limit is reached' : `Your limit of ${count} devices is reached`,
  devicesFacts:
    'Your account has as many devices connected as its tier allows. End one of them to watch here.',
  devicesNote: 'A tab that is closed makes room by itself after a moment.',
  deviceUnnamed: 'A device without a name',
  deviceAbout: (since: string, edge: string) =>
    [since && `since ${since}`, edge && `on ${edge}`].filter(Boolean).join(', '),
  endDevice: 'Watch here instead',
  endDeviceSpoken: (name: string) => `End ${name} and watch here instead`,
  again: 'Try again',
};
