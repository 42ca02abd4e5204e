// The flight of emotes: a bounded set of particles, moved by time alone, with no canvas in sight.

/** Particles at once. Beyond this a phone drops frames and a person sees no difference. */
export const PARTICLES_MAX = 320;
/** Square CSS pixels that each particle has for itself when the sky is full: a small screen holds fewer. */
const PIXELS_PER_PARTICLE = 1_100;

/** One emote in flight; lengths in CSS pixels, times in milliseconds. */
export interface Particle {
  emote: string;
  bornMs: number;
  lifeMs: number;
  /** Start, and how far it rises. */
  x: number;
  y: number;
  riseTo: number;
  /** Sideways swing. */
  swayBy: number;
  swayTurns: number;
  phase: number;
  size: number;
  tilt: number;
}

/** Where and how large a particle is drawn now. */
export interface Pose {
  x: number;
  y: number;
  size: number;
  tilt: number;
  alpha: number;
}

export interface Launch {
  emote: string;
  atMs: number;
  /** Of the area, in CSS pixels. */
  width: number;
  height: number;
  /** Where it starts; by default anywhere along the lower edge. */
  from?: { x: number; y: number };
  /** The viewer's own tap is a little larger. */
  own?: boolean;
}

const LIFE_MS = 2_600;
const LIFE_SPREAD_MS = 1_400;

export class Particles {
  readonly #random: () => number;
  readonly #flying: Particle[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  get count(): number {
    return this.#flying.length;
  }

  /** Starts one emote; false when the sky is full. */
  launch({ emote, atMs, width, height, from, own = false }: Launch): boolean {
    if (this.#flying.length >= capacity(width, height)) {
      if (!own) return false;
      this.#flying.shift();
    }
    const random = this.#random;
    const size = (own ? 44 : 22 + 18 * random()) * Math.min(1.15, Math.max(0.75, width / 700));
    this.#flying.push({
      emote,
      bornMs: atMs,
      lifeMs: LIFE_MS + LIFE_SPREAD_MS * random(),
      x: from?.x ?? size + (width - 2 * size) * random(),
      y: from?.y ?? height + size,
      riseTo: height * (0.08 + 0.4 * random()),
      swayBy: (0.02 + 0.05 * random()) * Math.min(width, 500),
      swayTurns: 0.6 + random(),
      phase: random() * 2 * Math.PI,
      size,
      tilt: (random() - 0.5) * 0.5,
    });
    return true;
  }

  /** Calls `draw` for all that fly at this instant, oldest first, and forgets those that have landed. */
  advance(nowMs: number, draw: (emote: string, pose: Pose) => void): void {
    let kept = 0;
    for (const particle of this.#flying) {
      const age = (nowMs - particle.bornMs) / particle.lifeMs;
      if (age >= 1) continue;
      this.#flying[kept] = particle;
      kept += 1;
      if (age >= 0) draw(particle.emote, poseAt(particle, age));
    }
    this.#flying.length = kept;
  }

  clear(): void {
    this.#flying.length = 0;
  }
}

/** Particles that an area holds. */
export function capacity(width: number, height: number): number {
  return Math.min(PARTICLES_MAX, Math.ceil((width * height) / PIXELS_PER_PARTICLE));
}

/** Quick start, slow end; it pops in, swings, and fades over the last third. */
function poseAt(particle: Particle, age: number): Pose {
  const risen = 1 - (1 - age) ** 2.2;
  const swing = Math.sin(particle.phase + age * particle.swayTurns * 2 * Math.PI);
  const pop = age < 0.08 ? 0.5 + 6.25 * age : 1;
  return {
    x: particle.x + swing * particle.swayBy * Math.min(1, age * 3),
    y: particle.y + (particle.riseTo - particle.y) * risen,
    size: particle.size * pop,
    tilt: particle.tilt * swing,
    alpha: age < 0.66 ? 1 : (1 - age) / 0.34,
  };
}
