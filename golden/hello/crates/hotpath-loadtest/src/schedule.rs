//! When calls arrive: as a Poisson process. Callers do not wait for each other, so that gaps are exponential and calls come
//! in bunches; an even spacing would hide the queueing that real traffic causes.
use serde::Serialize;
use std::time::Duration;

/// The kinds of call whose latency is measured apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The call that the service exists for, and that overloads it.
    Heavy,
    /// A call that costs next to nothing: it shows what the heavy ones do to their neighbours.
    Cheap,
    /// The health check of an orchestrator: a process that fails it under load is restarted under load.
    Health,
}

impl Class {
    pub const ALL: [Self; 3] = [Self::Heavy, Self::Cheap, Self::Health];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Heavy => "heavy",
            Self::Cheap => "cheap",
            Self::Health => "health",
        }
    }
}

/// Calls per second of each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    pub heavy: f64,
    pub cheap: f64,
    pub health: f64,
}

impl Rates {
    const fn of(&self, class: Class) -> f64 {
        match class {
            Class::Heavy => self.heavy,
            Class::Cheap => self.cheap,
            Class::Health => self.health,
        }
    }
}

/// A call that is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// After the start of the phase.
    pub at: Duration,
    pub class: Class,
}

/// The arrivals of one phase, in order: three Poisson processes, merged. The same seed gives the same arrivals.
pub struct Schedule {
    random: SplitMix,
    rates: Rates,
    /// Seconds after the start, for each class.
    next: [f64; 3],
    length: f64,
}

impl Schedule {
    pub fn new(seed: u64, rates: Rates, length: Duration) -> Self {
        let mut random = SplitMix(seed);
        let next = Class::ALL.map(|class| random.gap(rates.of(class)));
        Self { random, rates, next, length: length.as_secs_f64() }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let (at, class) = self.next.iter_mut().zip(Class::ALL).min_by(|a, b| a.0.total_cmp(b.0))?;
        if *at >= self.length {
            return None;
        }
        let arrival = Arrival { at: Duration::from_secs_f64(*at), class };
        *at += self.random.gap(self.rates.of(class));
        Some(arrival)
    }
}

/// SplitMix64: enough randomness for arrival times, and the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    /// Seconds to the next arrival of a Poisson process; infinite where the rate is 0.
    fn gap(&mut self, rate: f64) -> f64 {
        if rate <= 0.0 { f64::INFINITY } else { -(1.0 - self.uniform()).ln() / rate }
    }

    /// A number from 0 up to, and without, 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { heavy: 400.0, cheap: 50.0, health: 0.0 };

    fn arrivals(seed: u64) -> Vec<Arrival> {
        Schedule::new(seed, RATES, Duration::from_secs(100)).collect()
    }

    #[test]
    fn in_order_within_the_length_and_the_same_for_the_same_seed() {
        let all = arrivals(7);
        assert!(all.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(all.last().unwrap().at < Duration::from_secs(100));
        assert_eq!(all, arrivals(7));
        assert_ne!(all, arrivals(8));
    }

    #[test]
    fn each_class_has_its_rate() {
        let all = arrivals(7);
        let count = |class| all.iter().filter(|arrival| arrival.class == class).count() as f64;
        // Four standard deviations of a Poisson count.
        assert!((count(Class::Heavy) - 40_000.0).abs() < 4.0 * 200.0);
        assert!((count(Class::Cheap) - 5_000.0).abs() < 4.0 * 71.0);
        assert_eq!(count(Class::Health), 0.0);
    }

    #[test]
    fn gaps_are_exponential() {
        let heavy: Vec<f64> = arrivals(7)
            .iter()
            .filter(|arrival| arrival.class == Class::Heavy)
            .map(|arrival| arrival.at.as_secs_f64())
            .collect();
        let gaps: Vec<f64> = heavy.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        // Mean and standard deviation of an exponential are equal; of an even spacing the deviation is 0.
        assert!((deviation / mean - 1.0).abs() < 0.03, "{deviation} {mean}");
        // And 1/e of the gaps are longer than the mean.
        let longer = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1.0f64).exp()).abs() < 0.01, "{longer}");
    }

    #[test]
    fn no_rate_no_arrivals() {
        assert_eq!(Schedule::new(1, Rates::default(), Duration::from_secs(5)).next(), None);
    }
}
