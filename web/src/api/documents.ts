// The documents of the HTTP interface that the app reads and writes, as the server sends them.

import type { Device } from '@emostream/viewer';
import type { Role } from './session.js';

export interface PageOf<Item> {
  items: Item[];
  next_cursor: string | null;
}

export interface LoginAnswer {
  token: string;
  expires_at: string;
  user: { username: string; role: Role };
}

export interface Me {
  username: string;
  role: Role;
  /** How many devices it may connect follows from it. */
  tier: number;
  devices_max: number;
  /** When the token expires. */
  expires_at: string;
}

export interface DeviceList {
  devices_max: number;
  /** Oldest first. */
  items: Device[];
}

export interface Site {
  name: string;
  about: string;
  contact: { email?: string; url?: string; text?: string };
  /** Absent: the server makes no accounts for whoever asks. */
  registration?: {
    open: boolean;
    choose_tier: boolean;
    default_tier: number;
    /** Devices that an account of each tier may connect at once. */
    tiers: { tier: number; devices: number }[];
  };
}

export interface Channel {
  name: string;
  title: string | null;
  created_at: string;
  recording_started_at: string | null;
  closed: boolean;
}

export type Preset = 'easy' | 'normal' | 'hard';

/** The numbers of the full rule; all gates have to pass in one window. */
export interface FullNumbers {
  /** Fewest reactions in a window. */
  floor: number;
  /** Standard deviations above the baseline. */
  significance: number;
  /** Ratio to the baseline. */
  factor: number;
  /** Fewest different people in a window. */
  reactors: number;
  fast_ms: number;
  slow_ms: number;
  cooldown_ms: number;
  /** Bursts of other emotes this soon after a moment belong to it. */
  together_ms: number;
}

export interface FullRule extends FullNumbers {
  kind: 'full';
  /** Where the numbers came from; some may have been changed since. */
  preset?: Preset;
}

export interface PlainRule {
  kind: 'plain';
  threshold: number;
  interval: number;
}

export type Rule = FullRule | PlainRule;

/** A full rule as it is sent: numbers that are left out are the preset's. */
export type RuleInput = Rule | ({ kind: 'full'; preset: Preset } & Partial<FullNumbers>);

export interface Settings {
  version: number;
  updated_at: string;
  updated_by: string | null;
  rule: Rule;
  /** The plain rule's values, in use or kept. Below 1: share of an interval; from 1 on: count in a window. */
  plain: { threshold: number; interval: number };
  /** Emotes that can make a moment; null: every emote. */
  allowed_emotes: string[] | null;
  palette: {
    /** Buttons, in order. */
    featured: string[];
    /** Emotes accepted besides; null: every emoji. */
    accepted_emotes: string[] | null;
    custom_emotes: string[];
  };
}

export interface SettingsVersion {
  version: number;
  changed_at: string;
  changed_by: string | null;
  settings: Settings;
}

export interface CustomEmote {
  /** `:name:` */
  emote: string;
  /** null: it has no picture yet. */
  url: string | null;
  media_type: string | null;
  bytes: number | null;
}

export interface Palette {
  version: number;
  featured: { emote: string; url?: string }[];
  accepted_emotes: string[] | null;
  custom_emotes: CustomEmote[];
}

export interface ArchivedMoment {
  id: string;
  seq: number;
  emote: string;
  window_start: string;
  window_ms: number;
  count: number;
  strength: number;
  reactors: number;
  rule: string;
  title?: string | null;
  note?: string | null;
  hidden?: boolean;
}

export interface PreviewAnswer {
  moments: Omit<ArchivedMoment, 'id' | 'seq'>[];
  windows: number;
  from: string;
  to: string;
  /** What the rule was judged on. */
  source: 'windows' | 'reactions';
}
