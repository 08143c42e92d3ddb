use super::*;

fn setup() -> Setup {
    Setup {
        home: "/home/o".into(),
        login: "o".into(),
        agent: Some("/run/agent".into()),
        ssh: vec!["ssh".into()],
        passphrase_file: None,
        ask: false,
    }
}

fn resolve(options: &SshOptions, port: Option<u16>, config: &str) -> Settings {
    let address = Address { host: "h1".into(), port };
    Settings::resolve(&setup(), "val-1", &address, options, &SshConfig::parse(config)).unwrap()
}

#[test]
fn the_inventory_wins_over_ssh_config_which_wins_over_defaults() {
    let bare = resolve(&SshOptions::default(), None, "");
    assert_eq!((bare.host.as_str(), bare.port, bare.user.as_str(), &bare.way), ("h1", 22, "o", &Way::Direct));
    assert_eq!(bare.known_hosts[0], PathBuf::from("/home/o/.ssh/known_hosts"));
    assert_eq!(bare.connect_timeout, Duration::from_secs(10));

    let text = "hostname 10.0.0.1\nport 2200\nuser c\nconnecttimeout 3\nproxycommand nc %h %p\nidentityfile ~/.ssh/x\n";
    let config = resolve(&SshOptions::default(), None, text);
    assert_eq!((config.host.as_str(), config.port, config.user.as_str()), ("10.0.0.1", 2200, "c"));
    assert_eq!(config.way, Way::Command("nc 10.0.0.1 2200".into()));
    assert_eq!(config.identities, [Identity { path: "/home/o/.ssh/x".into(), named: false }]);
    assert_eq!(config.connect_timeout, Duration::from_secs(3));
    assert_eq!(config.endpoint(), "10.0.0.1:2200");

    let options = SshOptions {
        user: Some("ops".into()),
        port: Some(1),
        identity: vec!["~/k".into()],
        known_hosts: vec!["~/kh".into()],
        jump: Some(Jump::None),
        connect_timeout: Some(Duration::from_secs(1)),
        ..SshOptions::default()
    };
    let own = resolve(&options, Some(2), text);
    assert_eq!((own.port, own.user.as_str(), own.way), (2, "ops", Way::Direct));
    assert_eq!(own.identities[0], Identity { path: "/home/o/k".into(), named: true });
    assert_eq!(own.known_hosts, [PathBuf::from("/home/o/kh")]);
}

#[test]
fn an_alias_is_looked_up_without_its_port() {
    let settings = resolve(&SshOptions::default(), Some(2222), "hostkeyalias real\n");
    assert_eq!(settings.subject.lookup(), "real");
}

#[test]
fn what_ssh_config_says_is_followed_or_named() {
    let settings = resolve(&SshOptions::default(), None, "stricthostkeychecking false\nidentityagent none\n");
    assert!(settings.notes[0].contains("fleet stays strict"), "{:?}", settings.notes);
    assert_eq!(settings.agent, None);
    let config = SshConfig::parse("revokedhostkeys /etc/krl\n");
    let address = Address { host: "h".into(), port: None };
    let error = Settings::resolve(&setup(), "h", &address, &SshOptions::default(), &config).unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::Config);
}
