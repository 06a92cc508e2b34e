//! Tables of things by their handles.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The library gives handles out itself: nobody can choose them badly.
pub type ByHandle<T> = HashMap<u64, T, BuildHasherDefault<Spread>>;

/// Neighbours are spread: all that is in one of several tables may have the same lowest bits.
#[derive(Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("handles are u64");
    }
    fn write_u64(&mut self, handle: u64) {
        // hashbrown takes the place from the lowest bits and its control bits from the top: neither are those of a product
        // as they are.
        self.0 = handle.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_64th_handle_has_a_place_of_its_own() {
        let place = |number: u64| {
            let mut hash = Spread::default();
            hash.write_u64((5 << 48) + number * 64);
            hash.finish() % 1024
        };
        let places: HashSet<u64> = (0..1024).map(place).collect();
        assert!(places.len() > 512, "{}", places.len());
    }
}
