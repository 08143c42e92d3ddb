//! Arithmetic of voting power. Sums are taken in 128 bits and never wrap.

use std::collections::BTreeSet;

use crate::model::facts::ValidatorSet;

/// The least power that commits a block: more than two thirds of `total`, in CometBFT's integer arithmetic.
pub fn quorum(total: u64) -> u64 {
    narrow(u128::from(total) * 2 / 3 + 1)
}

/// The power of the whole set.
pub fn total(set: &ValidatorSet) -> u64 {
    power_of(set, |_| true)
}

/// The power of those validators whose address is wanted; an address counts once, however many hosts stand behind it.
pub fn power_of(set: &ValidatorSet, wanted: impl Fn(&str) -> bool) -> u64 {
    let mut counted = BTreeSet::new();
    let each = set.validators.iter().filter(|one| wanted(&one.address) && counted.insert(&one.address));
    narrow(each.map(|one| u128::from(one.power)).sum())
}

/// The power that isn't behind any of `ours`.
pub fn foreign(set: &ValidatorSet, ours: &BTreeSet<String>) -> u64 {
    power_of(set, |address| !ours.contains(address))
}

/// CometBFT caps the total at 2^60; what is beyond 64 bits is no chain's set, and saturates.
fn narrow(power: u128) -> u64 {
    u64::try_from(power).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::facts::Validator;

    fn set(powers: &[(&str, u64)]) -> ValidatorSet {
        let validators = powers.iter().map(|&(address, power)| Validator { address: address.into(), power });
        ValidatorSet { height: 1, validators: validators.collect() }
    }

    #[test]
    fn more_than_two_thirds() {
        for (total, least) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (99, 67), (100, 67), (101, 68)] {
            assert_eq!(quorum(total), least, "of {total}");
        }
    }

    #[test]
    fn one_address_behind_two_hosts_counts_once() {
        let set = set(&[("A", 40), ("B", 30), ("A", 40)]);
        assert_eq!(total(&set), 70);
        assert_eq!(foreign(&set, &BTreeSet::from(["A".into()])), 30);
    }

    proptest! {
        #[test]
        fn quorum_is_the_least_that_is_more_than_two_thirds(total: u64) {
            let least = u128::from(quorum(total));
            prop_assert!(least * 3 > u128::from(total) * 2);
            prop_assert!((least - 1) * 3 <= u128::from(total) * 2);
        }

        #[test]
        fn ours_and_foreign_make_the_total(powers in proptest::collection::vec(0..u64::MAX / 64, 0..40), mask: u64) {
            let validators = powers.iter().enumerate().map(|(index, &power)| Validator { address: index.to_string(), power });
            let set = ValidatorSet { height: 1, validators: validators.collect() };
            let ours: BTreeSet<String> = (0..40).filter(|index| (mask >> index) & 1 == 1).map(|index| index.to_string()).collect();
            let own = power_of(&set, |address| ours.contains(address));
            prop_assert_eq!(own + foreign(&set, &ours), total(&set));
        }

        #[test]
        fn sums_never_wrap(powers in proptest::collection::vec(any::<u64>(), 0..20)) {
            let validators = powers.iter().enumerate().map(|(index, &power)| Validator { address: index.to_string(), power });
            let sum: u128 = powers.iter().map(|&power| u128::from(power)).sum();
            let set = ValidatorSet { height: 1, validators: validators.collect() };
            prop_assert_eq!(u128::from(total(&set)), sum.min(u128::from(u64::MAX)));
        }
    }
}
