//! **Schedules**: orders of blocks and threads that depend on a seed.

/// Random numbers for schedules: SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    state: u64,
    shuffles: bool,
}

impl Schedule {
    /// Seed 0 is the natural order; every other seed is another shuffle.
    pub(crate) fn new(seed: u64, launch: u32) -> Self {
        Schedule {
            state: seed ^ (u64::from(launch) << 32),
            shuffles: seed != 0,
        }
    }

    /// The seed that the environment asks for.
    pub(crate) fn seed() -> u64 {
        let word = std::env::var("CUDA_EMULATOR_SEED").unwrap_or_default();
        word.parse().unwrap_or(0)
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        if !self.shuffles {
            return;
        }
        for i in (1..items.len()).rev() {
            let j = self.next() % (i as u64 + 1);
            items.swap(i, j as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_every_order_is_a_permutation() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            Schedule::new(seed, 1).shuffle(&mut items);
            items
        };
        let natural: Vec<u32> = (0..100).collect();
        assert_eq!(order(0), natural);
        assert_ne!(order(1), natural);
        assert_ne!(order(1), order(2));
        let mut sorted = order(3);
        sorted.sort_unstable();
        assert_eq!(sorted, natural);
    }
}
