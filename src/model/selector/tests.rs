use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::model::inventory::{Address, Chain, Host, NODE, ServiceId, SshOptions};

fn host(name: &str, role: Role, region: &str, rack: &str) -> Host {
    let chain = role.needs_chain().then(|| "main".to_owned());
    let node = |chain| Service {
        id: ServiceId { host: name.to_owned(), service: NODE.to_owned() },
        unit: "node.service".to_owned(),
        chain: Some(chain),
        home: None,
        rpc: None,
        needed_by: None,
    };
    Host {
        name: name.to_owned(),
        address: Address { host: name.to_owned(), port: None },
        role,
        region: Some(region.to_owned()),
        labels: BTreeMap::from([("rack".to_owned(), rack.to_owned())]),
        sentries: Vec::new(),
        ssh: SshOptions::default(),
        services: chain.map(node).into_iter().collect(),
    }
}

fn chain(name: &str) -> (String, Chain) {
    let times = (std::time::Duration::from_secs(6), std::time::Duration::from_secs(60));
    let chain = Chain {
        name: name.to_owned(),
        chain_id: format!("{name}-1"),
        binary: None,
        block_time: times.0,
        halt_after: times.1,
    };
    (name.to_owned(), chain)
}

fn inventory() -> Inventory {
    let groups =
        [("canary", "sentry-1 or val-3"), ("west", "region:eu-west and not @canary"), ("loop", "val-1 or loop")];
    Inventory {
        name: "test".to_owned(),
        source: PathBuf::from("inventory.toml"),
        chains: BTreeMap::from([chain("main"), chain("other")]),
        hosts: vec![
            host("bastion", Role::Bastion, "eu-west", "z9"),
            host("val-1", Role::Validator, "eu-west", "a1"),
            host("val-2", Role::Validator, "eu-west", "a2"),
            host("val-3", Role::Validator, "us-east", "b1"),
            host("sentry-1", Role::Sentry, "eu-west", "a1"),
            host("sentry-2", Role::Sentry, "us-east", "b1"),
        ],
        groups: groups.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        foreign: BTreeMap::new(),
        schedules: Vec::new(),
        backup: crate::model::inventory::Backup::default(),
    }
}

fn names(text: &str) -> String {
    match Selector::parse(text).and_then(|selector| selector.select(&inventory())) {
        Ok(selection) => selection.hosts.join(" "),
        Err(error) => panic!("{text}: {error:?}"),
    }
}

#[test]
fn selects_in_the_order_of_the_inventory() {
    for (selector, hosts) in [
        ("all", "bastion val-1 val-2 val-3 sentry-1 sentry-2"),
        ("sentry-1 or val-2,val-1", "val-1 val-2 sentry-1"),
        ("val-[1-2,3]", "val-1 val-2 val-3"),
        ("sentry-*", "sentry-1 sentry-2"),
        ("*-?", "val-1 val-2 val-3 sentry-1 sentry-2"),
        ("role:validator", "val-1 val-2 val-3"),
        ("chain:main and region:us-*", "val-3 sentry-2"),
        ("label:rack=a1", "val-1 sentry-1"),
        ("label:rack", "bastion val-1 val-2 val-3 sentry-1 sentry-2"),
        ("@canary", "val-3 sentry-1"),
        ("canary", "val-3 sentry-1"),
        ("west", "bastion val-1 val-2"),
        ("not role:validator and not role:sentry", "bastion"),
        ("not val-1,val-2 and role:validator", "val-3"),
        ("val-1 or val-2 and val-3 or sentry-1", "val-1 sentry-1"),
        ("(val-1 or val-2)and(val-2 or val-3)", "val-2"),
        (" val-1 , val-2 ", "val-1 val-2"),
    ] {
        assert_eq!(names(selector), hosts, "{selector}");
    }
}

#[test]
fn who_is_said_by_name_or_role_is_named() {
    let inventory = inventory();
    for (text, named) in [
        ("chain:main", ""),
        ("all", ""),
        ("*", ""),
        ("region:eu-west,label:rack", ""),
        ("all and not val-3", ""),
        ("val-3", "val-3"),
        ("val-[1-2]", "val-1 val-2"),
        ("v*-2", "val-2"),
        ("chain:main and role:validator", "val-1 val-2 val-3"),
        ("sentry-1 or chain:main", "sentry-1"),
        ("role:sentry,chain:main", "sentry-1 sentry-2"),
        ("@canary", "val-3 sentry-1"),
        ("canary", "val-3 sentry-1"),
        ("@west", ""),
        ("loop", "val-1"),
        ("nobody or @none or val-1", "val-1"),
    ] {
        let hosts = Selector::parse(text).unwrap().naming(&inventory);
        let mut wanted: Vec<&str> = named.split(' ').filter(|name| !name.is_empty()).collect();
        wanted.sort_unstable();
        assert_eq!(hosts.iter().collect::<Vec<_>>(), wanted, "{text}");
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    for (selector, column, length, message, suggestion) in [
        ("", 1, 0, "a host, a group or a filter is missing here", ""),
        ("val-9", 1, 5, "unknown host or group \"val-9\"", "did you mean \"val-1\"?"),
        ("val-1 or vla-2", 10, 5, "unknown host or group \"vla-2\"", "did you mean \"val-2\"?"),
        ("é or val-[1-4]", 1, 1, "unknown host or group \"é\"", ""),
        ("val-[1-4]", 1, 9, "unknown host or group \"val-4\"", "did you mean \"val-1\"?"),
        ("canarie", 1, 7, "unknown host or group \"canarie\"", "did you mean \"canary\"?"),
        ("validators", 1, 10, "unknown host or group \"validators\"", "did you mean \"role:validator\"?"),
        ("@canry", 1, 6, "unknown group \"canry\"", "did you mean \"canary\"?"),
        ("role:validatr", 1, 13, "unknown role \"validatr\"", "did you mean \"validator\"?"),
        ("rol:validator", 1, 13, "unknown filter \"rol:\"", "did you mean \"role\"?"),
        ("role:", 1, 5, "role: wants a value", ""),
        ("chain:mian", 1, 10, "unknown chain \"mian\"", "did you mean \"main\"?"),
        ("region:eu-wets", 1, 14, "unknown region \"eu-wets\"", "did you mean \"eu-west\"?"),
        ("label:rak=a1", 1, 12, "unknown label \"rak\"", "did you mean \"rack\"?"),
        ("label:rack=a3", 1, 13, "unknown rack label \"a3\"", "did you mean \"a1\"?"),
        ("x-*", 1, 3, "no host's name matches \"x-*\"", ""),
        ("val-1/oracle", 1, 12, "selectors name hosts, not services", "did you mean \"val-1\"?"),
        ("val-1 and val-2", 1, 15, "no host matches", "what there is: fleet inventory show"),
        ("chain:other", 1, 11, "no host matches", "what there is: fleet inventory show"),
        ("val-[3-1]", 1, 9, "\"val-[3-1]\": the range 3-1 runs backwards", ""),
        ("val-1 val-2", 7, 5, "\"val-2\" isn't joined to what precedes it", "join with \"and\", \"or\" or a comma"),
        ("val-1 ro val-2", 7, 2, "\"ro\" isn't joined to what precedes it", "did you mean \"or\"?"),
        ("(val-1", 1, 1, "this bracket isn't closed", ""),
        ("(val-1 val-2)", 8, 5, "\"val-2\" isn't joined to what precedes it", "join with \"and\", \"or\" or a comma"),
        ("val-1)", 6, 1, "this bracket was never opened", ""),
        ("val-1 and", 10, 0, "a host, a group or a filter is missing here", ""),
        ("val-1,,val-2", 7, 1, "a host, a group or a filter is missing before \",\"", ""),
        ("val-1 or or", 10, 2, "a host, a group or a filter is missing before \"or\"", ""),
        ("@loop", 10, 4, "groups go in a circle: loop → loop", ""),
    ] {
        let error = Selector::parse(selector).and_then(|parsed| parsed.select(&inventory())).unwrap_err();
        let found =
            (error.column, error.length, error.message.as_str(), error.suggestion.as_deref().unwrap_or_default());
        assert_eq!(found, (column, length, message, suggestion), "{selector}");
    }
}

#[test]
fn shows_the_place() {
    let error = select("role:validator and vla-1", &inventory()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown host or group \"vla-1\"\n  role:validator and vla-1\n                     ^^^^^ did you mean \"val-1\"?"
    );
}

#[test]
fn depth_is_bounded() {
    for text in ["(".repeat(100_000), "not ".repeat(100_000)] {
        assert_eq!(Selector::parse(&text).unwrap_err().message, "nested more than 50 deep");
    }
}

#[test]
fn services_follow_the_chain() {
    let inventory = inventory();
    let selection = select("val-1 or bastion", &inventory).unwrap();
    assert_eq!(selection.services(&inventory, None).len(), 1);
    assert_eq!(selection.services(&inventory, Some("main")).len(), 1);
    assert_eq!(selection.services(&inventory, Some("other")).len(), 0);
}

fn expression() -> impl Strategy<Value = Expression> {
    let words = [
        "all",
        "role:validator",
        "chain:main",
        "region:eu-west",
        "region:us-*",
        "label:rack=a1",
        "label:rack",
        "@canary",
        "canary",
        "west",
        "val-1",
        "val-[1-2]",
        "sentry-*",
        "v?l-3",
        "bastion",
    ];
    let term = prop::sample::select(words.to_vec()).prop_map(|word| parse::parse(word).unwrap());
    term.prop_recursive(4, 24, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Expression::And),
            several.prop_map(Expression::Or),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

/// The hosts of an expression, which may be none; by way of its text.
fn hosts(expression: &Expression) -> Vec<String> {
    match select(&expression.to_string(), &inventory()) {
        Ok(selection) => selection.hosts,
        Err(error) if error.message.starts_with("no host matches") => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

fn not(part: &Expression) -> Expression {
    Expression::Not(Box::new(part.clone()))
}

fn both(a: &Expression, b: &Expression) -> Expression {
    Expression::And(vec![a.clone(), b.clone()])
}

fn either(a: &Expression, b: &Expression) -> Expression {
    Expression::Or(vec![a.clone(), b.clone()])
}

proptest! {
    #[test]
    fn printed_and_read_again_is_the_same(expression in expression()) {
        let text = expression.to_string();
        let again = parse::parse(&text).unwrap();
        prop_assert_eq!(again.to_string(), text);
        prop_assert_eq!(shape(&again), shape(&expression));
    }

    #[test]
    fn the_laws_of_sets_hold(a in expression(), b in expression(), c in expression()) {
        prop_assert_eq!(hosts(&not(&both(&a, &b))), hosts(&either(&not(&a), &not(&b))));
        prop_assert_eq!(hosts(&not(&either(&a, &b))), hosts(&both(&not(&a), &not(&b))));
        prop_assert_eq!(hosts(&both(&a, &a)), hosts(&a));
        prop_assert_eq!(hosts(&either(&a, &a)), hosts(&a));
        prop_assert_eq!(hosts(&not(&not(&a))), hosts(&a));
        prop_assert_eq!(hosts(&either(&a, &b)), hosts(&either(&b, &a)));
        prop_assert_eq!(hosts(&both(&a, &b)), hosts(&both(&b, &a)));
        prop_assert_eq!(hosts(&both(&a, &either(&b, &c))), hosts(&either(&both(&a, &b), &both(&a, &c))));
        prop_assert!(hosts(&both(&a, &not(&a))).is_empty());
        prop_assert_eq!(hosts(&either(&a, &not(&a))).len(), inventory().hosts.len());
    }

    #[test]
    fn agrees_with_each_host_taken_alone(a in expression(), b in expression()) {
        let (left, right) = (hosts(&a), hosts(&b));
        for host in inventory().hosts {
            let (l, r) = (left.contains(&host.name), right.contains(&host.name));
            prop_assert_eq!(hosts(&both(&a, &b)).contains(&host.name), l && r);
            prop_assert_eq!(hosts(&either(&a, &b)).contains(&host.name), l || r);
        }
    }

    #[test]
    fn never_panics(text in "[a-z()@:=,*?\\[\\]0-9 é-]{0,40}|[valndort1 (),-]{0,60}") {
        let _ = select(&text, &inventory());
    }
}

/// An expression without the places of its words.
fn shape(expression: &Expression) -> String {
    match expression {
        Expression::And(parts) => format!("and{:?}", parts.iter().map(shape).collect::<Vec<_>>()),
        Expression::Or(parts) => format!("or{:?}", parts.iter().map(shape).collect::<Vec<_>>()),
        Expression::Not(part) => format!("not({})", shape(part)),
        Expression::Term(term) => format!("{:?}", term.names),
    }
}
