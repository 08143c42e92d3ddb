//! Rules are overruled by name, but for those that never are.

use fleet::model::plan::Severity;
use fleet::ops::rules;

use crate::world::company;

#[test]
fn a_refusal_can_be_overruled_by_name_and_that_is_in_the_plan() {
    let full = || company().on("val-3", |node| node.disk_used_percent = Some(99));
    assert!(full().plan().is_err());
    let plan = full().asked(|request| request.accept = vec!["disk".into()]).plan().unwrap().plan;
    assert_eq!(plan.accepted, ["disk"]);
    assert!(plan.notices.iter().any(|finding| finding.rule == "disk" && finding.severity == Severity::Warning));
    let other = full().asked(|request| request.accept = vec!["clock".into()]);
    assert!(other.plan().is_err());
    // What needn't be overruled isn't in the plan.
    let idle = company().asked(|request| request.accept = vec!["disk".into()]).plan().unwrap().plan;
    assert_eq!(idle.accepted, Vec::<String>::new());
    assert_eq!(idle.digest(), company().plan().unwrap().plan.digest());
}

#[test]
fn what_never_is_accepted_is_refused_by_its_name() {
    for rule in rules::all() {
        let accepted = rules::check_accepted(&[rule.name.to_owned()]);
        assert_eq!(accepted.is_err(), rule.severity == Severity::Never, "{}: {accepted:?}", rule.name);
    }
    let error = rules::check_accepted(&["dsk".into()]).unwrap_err();
    assert!(error.to_string().contains("disk"), "{error}");
    let lone = company().on("val-3", |node| node.signer = fleet::model::facts::SignerFacts::Missing);
    assert!(lone.asked(|request| request.accept = vec!["signer-pair".into()]).plan().is_err());
}
