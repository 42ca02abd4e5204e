//! The full rule, naively: window by window, silent ones too, every weight added up instead of computed.

use std::collections::BTreeMap;

use emostream_protocol::settings::FullRule;

/// What is judged: count and users of an emote, by its name.
pub(crate) type Counts = BTreeMap<String, (u64, u64)>;

/// A mean that forgets.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, decay: f64, value: f64, weight: f64) {
        self.sum = self.sum * decay + value;
        self.weight = self.weight * decay + weight;
    }

    fn value(self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

#[derive(Clone, Default)]
struct Emote {
    recent: Mean,
    slow: [Mean; 3],
    noise: f64,
    samples: f64,
    peak: f64,
    moment: Option<i64>,
    uproar: Option<i64>,
}

/// One channel under the full rule.
#[derive(Clone, Default)]
pub(crate) struct Channel {
    lengths: (u32, u32),
    windows: u64,
    next: i64,
    seen: u64,
    moment: Option<i64>,
    emotes: BTreeMap<String, Emote>,
}

fn cools(rule: &FullRule, emote: &Emote, start: i64) -> bool {
    emote.moment.is_some_and(|moment| start - moment < i64::from(rule.cooldown_ms))
}

/// Sum of weights squared, over sum of squared weights, of so many weights that shrink by a factor.
fn worth(decay: f64, windows: u64) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..windows.min(20_000) {
        sum = sum * decay + 1.0;
        squares = squares * decay * decay + 1.0;
    }
    sum * sum / squares
}

impl Channel {
    /// Judges a window: name and z of what is found, strongest first.
    pub(crate) fn judge(
        &mut self,
        rule: &FullRule,
        allowed: &dyn Fn(&str) -> bool,
        (start, end): (i64, i64),
        counts: &Counts,
    ) -> Vec<(String, f64)> {
        let window = (end - start) as f64;
        let fast = f64::from(rule.fast_ms).max(window / 2.0);
        let slow = f64::from(rule.slow_ms).max(3.0 * window).max(1.5 * fast);
        let decays = [fast, slow, slow * 2.5, slow * 10.0].map(|time| (-window / time).exp());
        self.go_on(rule, (start, end), slow * 10.0, decays);
        let mut passed = Vec::new();
        self.windows += 1;
        self.next = end;
        for (name, (count, users)) in counts {
            self.emotes.entry(name.clone()).or_insert_with(|| fresh(self.windows - 1, decays));
            let value = *count.min(users) as f64;
            self.seen = (self.seen + count.min(users)).min(20);
            if let Some(z) =
                self.step(name, value, Some((*users, rule, allowed(name))), start, (slow, window, decays))
            {
                passed.push((name.clone(), z));
            }
        }
        let others: Vec<String> =
            self.emotes.keys().filter(|name| !counts.contains_key(*name)).cloned().collect();
        for name in others {
            self.step(&name, 0.0, None, start, (slow, window, decays));
        }
        passed.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let together = i64::from(rule.together_ms);
        if passed.is_empty() || self.moment.is_some_and(|moment| start - moment < together) {
            return Vec::new();
        }
        self.moment = Some(start);
        if together > 0 {
            passed.truncate(1);
        }
        passed
    }

    /// Silent windows up to this one, a new beginning after too many, other time constants.
    fn go_on(&mut self, rule: &FullRule, (start, end): (i64, i64), long: f64, decays: [f64; 4]) {
        let length = end - start;
        if self.windows > 0 && self.lengths != (rule.fast_ms, rule.slow_ms) {
            for emote in self.emotes.values_mut() {
                let levels = [
                    emote.recent.value(),
                    emote.slow[0].value(),
                    emote.slow[1].value(),
                    emote.slow[2].value(),
                ];
                let moment = emote.moment;
                let weights = fresh(self.windows, decays);
                let mean = |mean: Mean, level: f64| Mean { sum: level * mean.weight, ..mean };
                emote.recent = mean(weights.recent, levels[0]);
                emote.slow = [0, 1, 2].map(|index| mean(weights.slow[index], levels[index + 1]));
                emote.moment = moment;
            }
        }
        self.lengths = (rule.fast_ms, rule.slow_ms);
        if self.windows > 0 && (start - self.next) / length + 1 > (long / length as f64) as i64 {
            self.seen = 0;
        }
        if self.windows == 0 || self.seen < 20 {
            self.windows = 0;
            self.emotes.retain(|_, emote| cools(rule, emote, start));
            self.emotes
                .values_mut()
                .for_each(|emote| *emote = Emote { moment: emote.moment, ..fresh(0, decays) });
            return;
        }
        while self.next < start {
            self.windows += 1;
            let names: Vec<String> = self.emotes.keys().cloned().collect();
            for name in names {
                self.step(&name, 0.0, None, self.next, (0.0, length as f64, decays));
            }
            self.next += length;
        }
    }

    fn step(
        &mut self,
        name: &str,
        value: f64,
        judged: Option<(u64, &FullRule, bool)>,
        start: i64,
        (slow, window, decays): (f64, f64, [f64; 4]),
    ) -> Option<f64> {
        let windows = self.windows;
        let emote = self.emotes.get_mut(name).expect("known");
        let before = emote.slow.map(Mean::value);
        emote.recent.add(decays[0], value, 1.0);
        let recent = emote.recent.value();
        let expected = if judged.is_some() && before[0] > before[1] && before[1] > 0.0 {
            before[0] / (1.0 - ((before[0] / before[1] - 1.0) * lag(decays, windows - 1)).min(0.65))
        } else {
            before[0]
        };
        let uproar = emote.uproar.is_some_and(|uproar| ((start - uproar) as f64) < 7.5 * slow);
        let mut found = None;
        if let Some((users, rule, allowed)) = judged {
            let cooling = cools(rule, emote, start);
            if cooling {
                emote.peak = emote.peak.max(recent);
            }
            if windows > 1 {
                let warm = windows as f64 <= (slow / window / 2.0).max(3.0);
                let (on, off) = (worth(decays[0], windows), worth(decays[1], windows - 1) / 2.0);
                let base = expected.max(before[2]);
                let part = if uproar { 1.0 / 3.0 } else { 0.85 };
                let sudden =
                    (1.0 + (rule.factor - 1.0) * part) * (1.0 + slow / window / (2.0 * windows as f64));
                let gates = emote.recent.sum >= f64::from(rule.floor)
                    && recent >= rule.factor * before[2]
                    && recent >= sudden * expected.max(emote.peak)
                    && users >= u64::from(rule.reactors)
                    && (rule.reactors <= 1 || recent - base >= f64::from(rule.reactors));
                if allowed && gates && !warm && !cooling {
                    let z = z(recent, base, (on, off), emote.noise);
                    found = (z >= rule.significance).then_some(z);
                }
                let quiet = emote.moment.is_none_or(|moment| (start - moment) as f64 >= 1.5 * slow);
                if quiet {
                    let chance =
                        expected.max(0.5 / on) * (1.0 / on + 1.0 / off) + 0.001 * expected * expected;
                    let sample = (recent - expected) * (recent - expected) / chance;
                    if warm {
                        emote.samples += sample;
                        emote.noise = (emote.samples / windows as f64).clamp(1.0, 1e6);
                    } else if recent > expected {
                        let step = (2.0 * window / slow).min(0.5);
                        let up = sample > 0.3186 * 0.3186 * emote.noise;
                        emote.noise = (emote.noise * (if up { step / 4.0 } else { step * -0.75 }).exp())
                            .clamp(1.0, 1e6);
                    }
                }
            }
        }
        for (mean, decay) in emote.slow.iter_mut().zip(&decays[1..]) {
            mean.add(*decay, emote.recent.sum, emote.recent.weight);
        }
        emote.peak *= decays[1];
        if found.is_some() {
            emote.uproar = if uproar { emote.uproar } else { Some(start) };
            emote.moment = Some(start);
            emote.peak = recent;
        }
        found
    }
}

/// Mean age of the expected rate, over how much older the trend's is, by adding up.
fn lag(decays: [f64; 4], windows: u64) -> f64 {
    let age = |decay: f64| {
        let (mut weight, mut weights, mut ages) = (1.0, 0.0, 0.0);
        for window in 0..windows.min(50_000) {
            weights += weight;
            ages += weight * window as f64;
            weight *= decay;
        }
        ages / weights
    };
    age(decays[1]) / (age(decays[2]) - age(decays[1])).max(1e-9)
}

/// z of a rate that is worth `on` windows over one that is worth `off` windows.
fn z(recent: f64, base: f64, (on, off): (f64, f64), noise: f64) -> f64 {
    let (n, b, ratio) = (recent * on, base * off, on / off);
    let log = |part: f64, of: f64| if part > 0.0 { part * of.ln() } else { 0.0 };
    let both = log(n, (1.0 + ratio) / ratio * n / (n + b)) + log(b, (1.0 + ratio) * b / (n + b));
    let significance = if n > ratio * b { (2.0 * both).max(0.0).sqrt() } else { 0.0 };
    significance / (noise * (1.0 + 0.001 * base * on / (1.0 + ratio))).sqrt()
}

/// An emote that was never seen in so many windows.
fn fresh(windows: u64, decays: [f64; 4]) -> Emote {
    let mut emote = Emote { noise: 1.0, ..Emote::default() };
    for _ in 0..windows {
        emote.recent.add(decays[0], 0.0, 1.0);
        for (mean, decay) in emote.slow.iter_mut().zip(&decays[1..]) {
            mean.add(*decay, 0.0, emote.recent.weight);
        }
    }
    emote
}
