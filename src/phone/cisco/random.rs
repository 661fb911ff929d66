//! Where the phone's random delays and nonces come from.

/// A source of random numbers.
pub trait Random: Send {
    /// A number from 0 to `bound`, both included.
    fn up_to(&mut self, bound: u32) -> u32;
}

/// The operating system's.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn up_to(&mut self, bound: u32) -> u32 {
        // Without random numbers the phone does not wait longer than it must.
        scaled(getrandom::u32().unwrap_or_default(), bound)
    }
}

/// The same numbers each time, for runs that are to be repeated: splitmix64 from a seed.
#[derive(Debug, Clone, Copy)]
pub struct SeededRandom(pub u64);

impl Random for SeededRandom {
    fn up_to(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        scaled(u32::try_from(mixed >> 32).unwrap_or_default(), bound)
    }
}

/// A number of all 32 bits, brought into 0 to `bound`.
fn scaled(number: u32, bound: u32) -> u32 {
    let product = u64::from(number) * (u64::from(bound) + 1);
    u32::try_from(product >> 32).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut seeded = SeededRandom(1);
        let numbers: Vec<u32> = (0..200).map(|_| seeded.up_to(3)).collect();
        assert!((0..=3).all(|number| numbers.contains(&number)) && numbers.iter().all(|number| *number <= 3));
        assert_eq!(SystemRandom.up_to(0), 0);
        assert_eq!(scaled(u32::MAX, u32::MAX), u32::MAX);
    }
}
