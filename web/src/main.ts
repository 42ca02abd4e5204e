// The viewer's page: one channel's stream, shown on its panels.

import { connect, type Hello, type Moment } from '@emostream/viewer';
import '@emostream/viewer/layer';
import { recentMoments, recentWindows } from './history.js';
import { channelInAddress, mountNavigation } from './navigation.js';
import { showWaitingNotices } from './notices.js';
import { part } from './page.js';
import { ChannelPictures } from './palette.js';
import { ConnectionPanel } from './panels/connection.js';
import { Deck } from './panels/deck.js';
import { HeatStrip } from './panels/heat-strip.js';
import { MomentsPanel } from './panels/moments.js';
import { SourcesPanel } from './panels/sources.js';
import { Stage } from './panels/stage.js';
import { liveTexts } from './texts/live.js';
import { WindowLedger, WINDOWS_KEPT } from './window-ledger.js';

const MOMENTS_SHOWN = 20;
/** How often the screen is brought up to now while no frame comes. */
const IDLE_REFRESH_MS = 1_000;

mountNavigation();
showWaitingNotices();

const channel = channelInAddress();
document.title = liveTexts.title(channel);
part('channel').textContent = channel;

const viewer = connect({ channel });
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

viewer.on('state', (state) => {
  connection.show(state);
  if (state.phase === 'ended') deck.close();
});
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
