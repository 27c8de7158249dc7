//! Latency histogram with steps that grow with the value: percentiles are within 1.6 % of the exact
//! value, at any number of samples.

use serde_json::Value as Json;
use serde_json::json;

/// Steps per power of two, as a power of two.
const STEPS: u32 = 6;

/// Longer latencies count as this: 13 days, in microseconds.
const LONGEST: u64 = (1 << 40) - 1;

/// The number of samples in each step. All values are in microseconds.
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; step(LONGEST) + 1], count: 0, sum: 0, longest: 0 }
    }
}

impl Histogram {
    /// Records one latency.
    pub fn record(&mut self, micros: u64) {
        let micros = micros.min(LONGEST);
        self.counts[step(micros)] += 1;
        self.count += 1;
        self.sum += micros;
        self.longest = self.longest.max(micros);
    }

    /// Adds the samples of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.longest = self.longest.max(other.longest);
    }

    /// Returns the number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the latency that `per_mille` of all samples do not exceed; 0 if there are none.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(step).min(self.longest);
            }
        }
        self.longest
    }

    /// Returns the usual percentiles in milliseconds; null if there are no samples.
    pub fn json(&self) -> Json {
        if self.count == 0 {
            return Json::Null;
        }
        let millis = |micros: u64| micros as f64 / 1000.0;
        json!({
            "n": self.count, "mean": millis(self.sum / self.count),
            "p50": millis(self.quantile(500)), "p90": millis(self.quantile(900)),
            "p99": millis(self.quantile(990)), "p999": millis(self.quantile(999)),
            "max": millis(self.longest),
        })
    }
}

/// Returns the step that a value belongs to.
fn step(value: u64) -> usize {
    let shift = value.max(1).ilog2().saturating_sub(STEPS);
    let place = if value < 1 << STEPS {
        value
    } else {
        (u64::from(shift + 1) << STEPS) + (value >> shift) - (1 << STEPS)
    };
    usize::try_from(place).expect("there are a few thousand steps")
}

/// Returns the value in the middle of a step.
fn middle(step: usize) -> u64 {
    let step = step as u64;
    if step < 1 << STEPS {
        return step;
    }
    let shift = (step >> STEPS) - 1;
    let low = ((1 << STEPS) + (step & ((1 << STEPS) - 1))) << shift;
    low + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_close() {
        let mut histogram = Histogram::default();
        let mut other = Histogram::default();
        for value in 1..=50_000 {
            histogram.record(value);
            other.record(value + 50_000);
        }

        histogram.merge(&other);

        assert_eq!(histogram.count(), 100_000);
        for (per_mille, exact) in
            [(1, 100), (500, 50_000), (990, 99_000), (999, 99_900), (1000, 100_000)]
        {
            let told = histogram.quantile(per_mille);
            assert!(told.abs_diff(exact) * 1000 <= exact * 16, "{per_mille}: {told} for {exact}");
        }
    }

    #[test]
    fn steps_follow_one_another() {
        for value in 0..100_000 {
            assert!((0..=1).contains(&(step(value + 1) - step(value))), "{value}");
        }
        assert_eq!(Histogram::default().quantile(990), 0);
    }
}
