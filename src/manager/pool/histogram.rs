//! How long things took, without a list of them: counts by size, sixteen for each power of two.

const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

/// Counts of times in microseconds.
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    all: u64,
}

impl Histogram {
    pub fn new() -> Histogram {
        Histogram { counts: Box::new([0; BUCKETS]), all: 0 }
    }

    pub fn add(&mut self, microseconds: u64) {
        self.counts[bucket(microseconds)] += 1;
        self.all += 1;
    }

    /// The least time that so many of a hundred do not exceed, a sixteenth too large at most. 0: there are none.
    pub fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0, largest)
    }
}

fn bucket(value: u64) -> usize {
    if value < SUB as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    (shift as usize + 1) * SUB + (value >> shift) as usize - SUB
}

/// The largest value of a bucket.
fn largest(bucket: usize) -> u64 {
    if bucket < SUB {
        return bucket as u64;
    }
    let shift = bucket / SUB - 1;
    let first = ((bucket % SUB + SUB) as u64) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_its_bucket_and_the_bucket_is_narrow() {
        let values =
            (0..70).chain((6..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1])).chain([u64::MAX]);
        for value in values {
            let upper = largest(bucket(value));
            assert!(upper >= value && upper - value <= value / 16, "{value} {upper}");
            assert!(bucket(value) == 0 || largest(bucket(value) - 1) < value, "{value}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(50), 0);
        (1..=10).for_each(|value| histogram.add(value));
        assert_eq!([50, 90, 99].map(|percent| histogram.percentile(percent)), [5, 9, 10]);
    }
}
