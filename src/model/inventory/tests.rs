use super::*;

const COMPANY: &str = include_str!("../../../inventories/company.toml");

fn company() -> Inventory {
    parse(COMPANY, std::path::Path::new("/etc/fleet/inventory.toml")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn hosts_are_in_the_order_of_the_file_with_ranges_expanded() {
    let inventory = company();
    let names: Vec<&str> = inventory.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "bastion val-1 val-2 val-3 val-4 val-5 val-6 val-7 sentry-1 sentry-2 archive organism-01 organism-02 \
         organism-03 provider-1 mon"
    );
    assert_eq!(inventory.host("val-7").unwrap().address.to_string(), "10.0.0.17");
    assert_eq!(inventory.host("archive").unwrap().address.to_string(), "[2001:db8::31]:22");
}

#[test]
fn defaults_are_filled_in() {
    let inventory = company();
    let val = inventory.host("val-1").unwrap();
    assert_eq!(val.sentries, ["sentry-1", "sentry-2"]);
    assert_eq!(val.ssh.jump, Some(Jump::Host("bastion".to_owned())));
    assert_eq!(val.ssh.identity, [PathBuf::from("~/.ssh/id_ed25519")]);
    assert_eq!(val.ssh.known_hosts, [PathBuf::from("/etc/fleet/known_hosts")]);
    assert_eq!(inventory.host("bastion").unwrap().ssh.jump, Some(Jump::None));
    assert_eq!(inventory.host("sentry-2").unwrap().ssh.jump, Some(Jump::None));
    let mon = &inventory.host("mon").unwrap().ssh;
    assert_eq!(mon.user.as_deref(), Some("monitor"));
    assert_eq!(mon.r#become, Some(Become::None));
    assert_eq!(mon.connect_timeout, Some(Duration::from_secs(30)));
    assert_eq!(inventory.chains["settlement"].halt_after, Duration::from_secs(90));
}

#[test]
fn services_take_their_chain_s_defaults() {
    let inventory = company();
    let shown: Vec<String> = inventory
        .host("val-1")
        .unwrap()
        .services
        .iter()
        .map(|service| format!("{} {} {}", service.id, service.unit, service.home.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        shown,
        [
            "val-1 ve-node.service /var/lib/virtengine",
            "val-1/oracle oracle.service -",
            "val-1/second settlementd.service /var/lib/settlement",
        ]
    );
    let member = ServiceId { host: "organism-02".to_owned(), service: "member".to_owned() };
    assert_eq!(inventory.service(&member).unwrap().unit, "organism.service");
}
