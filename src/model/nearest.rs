//! "Did you mean": the known name that a mistyped one is closest to.

/// The candidate nearest to `name`, where one is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "validator"?`, or nothing.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|known| format!("did you mean \"{known}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let roles = ["validator", "sentry", "full"];
        for (typed, meant) in [
            ("validatr", Some("validator")),
            ("Sentry", Some("sentry")),
            ("setnry", Some("sentry")),
            ("ful", Some("full")),
            ("bastion", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, roles), meant, "{typed}");
        }
    }
}
