use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn folds() {
    for (names, folded) in [
        ("val-1 val-2 val-3 sentry-1 val-7", "val-[1-3,7],sentry-1"),
        ("sentry-1 val-3 val-1 val-2", "sentry-1,val-[1-3]"),
        ("val-1 val-2", "val-[1-2]"),
        ("val-9 val-10 val-11", "val-[9-11]"),
        ("val-08 val-09 val-10", "val-[08-10]"),
        ("val-1 val-01 val-2", "val-[1-2,01]"),
        ("val-1 val-1", "val-1"),
        ("rack1-a rack2-a rack1-b", "rack[1-2]-a,rack1-b"),
        ("bastion é1 é2", "bastion,é[1-2]"),
        ("n-12345678901234567890", "n-12345678901234567890"),
        ("", ""),
    ] {
        assert_eq!(fold(names.split_whitespace()), folded);
    }
}

#[test]
fn expands() {
    for (pattern, names) in [
        ("val-[1-3,7]", "val-1 val-2 val-3 val-7"),
        ("val-[08-10]", "val-08 val-09 val-10"),
        ("r[1-2]-n[1-2]", "r1-n1 r1-n2 r2-n1 r2-n2"),
        ("val-1, val-[2-3]", "val-1 val-2 val-3"),
        ("10.0.0.[12-13]:22", "10.0.0.12:22 10.0.0.13:22"),
        ("[fd00::1]:22", "[fd00::1]:22"),
        ("[fd00::[1-2]]:22", "[fd00::1]:22 [fd00::2]:22"),
        ("bastion", "bastion"),
    ] {
        assert_eq!(expand(pattern).unwrap().join(" "), names, "{pattern}");
    }
}

#[test]
fn refuses() {
    for (pattern, message) in [
        ("val-[1-3", "a bracket isn't closed"),
        ("val-[3-1]", "the range 3-1 runs backwards"),
        ("val-[]", "[] holds no numbers like [1-3,7]"),
        ("val-[a-c]", "[a-c] holds no numbers like [1-3,7]"),
        ("val-[1-]", "[1-] holds no numbers like [1-3,7]"),
        ("val-[+1]", "[+1] holds no numbers like [1-3,7]"),
        ("val-[1-10001]", "stands for more than 10000 names"),
        ("val-[1-999999999999999]", "stands for more than 10000 names"),
        ("[1-200]-[1-200]", "stands for more than 10000 names"),
        ("val-1,,val-2", "a name is missing"),
        ("", "a name is missing"),
    ] {
        assert_eq!(expand(pattern).unwrap_err().to_string(), message, "{pattern}");
    }
}

proptest! {
    #[test]
    fn folding_loses_nothing(names in prop::collection::vec("[a-c]{0,2}-?[0-9]{0,3}[.x]?[0-9]{1,3}[a-b]?", 1..40)) {
        let folded = fold(names.iter().map(String::as_str));
        let expanded = expand(&folded).unwrap();
        let count = expanded.len();
        let expanded: BTreeSet<String> = expanded.into_iter().collect();
        prop_assert_eq!(expanded.len(), count, "twice in {}", folded);
        prop_assert_eq!(expanded, names.into_iter().collect::<BTreeSet<_>>(), "{}", folded);
    }

    #[test]
    fn never_panics(text in "[\\[\\]0-9,:é-]{0,20}") {
        let _ = expand(&text);
        fold([text.as_str()]);
    }
}
