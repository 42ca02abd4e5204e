// The viewer's page: one channel's stream, shown on its panels.

import { connect, type Hello, type Moment } from '@emostream/viewer';
import '@emostream/viewer/layer';
import { currentSession, endSession, onSession } from './api/session.js';
import { deviceId, deviceName } from './device.js';
import { recentMoments, recentWindows } from './history.js';
import { channelInAddress, loginAddress, mountNavigation } from './navigation.js';
import { notifyNext, showWaitingNotices } from './notices.js';
import { part } from './page.js';
import { ChannelPictures } from './palette.js';
import { ConnectionPanel } from './panels/connection.js';
import { Deck } from './panels/deck.js';
import type { Entrance } from './panels/entrance.js';
import { HeatStrip } from './panels/heat-strip.js';
import { MomentsPanel } from './panels/moments.js';
import { SourcesPanel } from './panels/sources.js';
import { Stage } from './panels/stage.js';
import { frameTexts } from './texts/frame.js';
import { liveTexts } from './texts/live.js';
import { WindowLedger, WINDOWS_KEPT } from './window-ledger.js';

const MOMENTS_SHOWN = 20;
/** How often the screen is brought up to now while no frame comes. */
const IDLE_REFRESH_MS = 1_000;
/** What few need is fetched when the show has begun, and while the server that has it is still there. */
const ENTRANCE_AFTER_MS = 20_000;
/** Least time between two loads of the page for want of a part of it. */
const ANEW_MS_MIN = 60_000;

mountNavigation();
showWaitingNotices();

const channel = channelInAddress();
document.title = liveTexts.title(channel);
part('channel').textContent = channel;

/** Also when it has expired: then the server says so, and nobody becomes a guest without a word. */
const session = currentSession();
const viewer = connect({
  channel,
  placement: {
    token: () => session?.token,
    deviceId: deviceId(),
    deviceName: deviceName(),
  },
});
const ledger = new WindowLedger();
const connection = new ConnectionPanel();
const stage = new Stage();
const strip = new HeatStrip();
const moments = new MomentsPanel();
const sources = new SourcesPanel();
const deck = new Deck({
  react: (emote) => viewer.react(emote),
  launch: (emote, x, y) => stage.launch(emote, x, y),
  refused: (emote) => stage.forget(emote),
});

const pictures = new ChannelPictures(channel, (known) => {
  deck.showPictures(known);
  stage.showPictures(known);
  moments.showPictures(known);
  strip.showPictures(known);
});

viewer.on('placed', (place) => connection.showPlace(place));
viewer.on('state', (state) => {
  connection.show(state);
  void showEntrance();
  if (state.phase !== 'ended') return;
  deck.close();
  askForLogin(state.code, state.reason);
});
// Another account has other devices: the connection is one's own.
const stopReloading = onSession(() => location.reload());
viewer.on('hello', (hello) => {
  showPalette(hello.palette, hello.palette_version);
  ledger.join(viewer.serverTime.now());
  void fillFromHistory(hello);
});
viewer.on('pulse', (pulse) => {
  pictures.see(Object.keys(pulse.counts));
  stage.showPulse(pulse);
});
viewer.on('window', (window) => {
  if (ledger.add(window)) refresh();
});
viewer.on('moment', (moment) => {
  showMoment(moment, 'new');
  stage.lightUp();
});
viewer.on('settings', (settings) => {
  sources.show(settings);
  if (settings.palette) showPalette(settings.palette, settings.palette_version ?? settings.version);
});
viewer.on('gap', (gap) => moments.addGap(gap));

let entrance: Entrance | undefined;
setTimeout(() => void loadEntrance(), ENTRANCE_AFTER_MS);

/** What stands in front of the show when somebody is kept waiting there. */
async function showEntrance(): Promise<void> {
  const isNeeded = ['in-line', 'device-limit'].includes(viewer.state.phase);
  if (!entrance && !isNeeded) return;
  if (!(await loadEntrance())) return startAnew();
  entrance?.show(viewer.state);
}

/** A newer server may have another file by another name: false where there is none. */
async function loadEntrance(): Promise<boolean> {
  try {
    const { Entrance } = await import('./panels/entrance.js');
    entrance ??= new Entrance({
      endDevice: (id) => viewer.endDevice(id),
      again: () => viewer.retry(),
    });
    return true;
  } catch {
    return false;
  }
}

/** Takes the page of the server that is there now; not again and again where that does not help. */
function startAnew(): void {
  const key = 'emostream.started-anew';
  try {
    const before = Number(sessionStorage.getItem(key) ?? 0);
    if (Date.now() - before < ANEW_MS_MIN) return;
    sessionStorage.setItem(key, String(Date.now()));
  } catch {
    // A browser that keeps nothing cannot tell the second time from the first.
    return;
  }
  location.reload();
}

/** A login that is over, and a channel for members, lead to the login, and from there back. An account that is gone leads nowhere. */
function askForLogin(code: number, reason: string): void {
  if (reason === 'account-gone') {
    stopReloading();
    return endSession();
  }
  const expired = code === 401 && session !== undefined;
  if (!expired && reason !== 'guests-refused') return;
  stopReloading();
  if (expired) endSession();
  notifyNext(expired ? frameTexts.expired : frameTexts.membersOnly, 'info');
  location.assign(loginAddress(location.pathname + location.search));
}

setInterval(refresh, IDLE_REFRESH_MS);

function showMoment(moment: Moment, entrance: 'new' | 'past'): void {
  pictures.see([moment.emote]);
  moments.add(moment, entrance);
  strip.markMoment(Date.parse(moment.window_start));
}

/** Buttons at once, the channel's own pictures as soon as the server has told where they are. */
function showPalette(featured: string[], version: number): void {
  deck.showPalette(featured);
  pictures.update(version, featured);
}

/** After every greeting, so that an outage leaves no hole in the numbers. */
async function fillFromHistory({ window_ms: windowMs }: Hello): Promise<void> {
  const fromMs = viewer.serverTime.now() - WINDOWS_KEPT * windowMs;
  const [windows, past] = await Promise.all([
    recentWindows(channel, fromMs, WINDOWS_KEPT),
    recentMoments(channel, fromMs, MOMENTS_SHOWN),
  ]);
  for (const window of windows) ledger.add(window);
  for (const moment of past) showMoment(moment, 'past');
  refresh();
}

function refresh(): void {
  const nowMs = viewer.serverTime.now();
  stage.showWindows(ledger, nowMs);
  strip.show(ledger, nowMs);
  deck.showCounts(ledger.newest?.counts ?? {});
}
