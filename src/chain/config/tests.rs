use proptest::prelude::*;

use super::*;

/// Written by `cometbft testnet` of 0.38.25, comments left out.
const WRITTEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/config.toml"));

#[test]
fn a_written_config() {
    let config = node_config("/var/lib/ve/", WRITTEN, None).unwrap();
    let expected = NodeConfig {
        moniker: "D07DEC2C27A1BECB".into(),
        rpc: Some("127.7.7.2:26657".into()),
        p2p_laddr: "tcp://127.7.7.2:26656".into(),
        db_dir: "/var/lib/ve/data".into(),
        db_backend: "goleveldb".into(),
        wal_file: "/var/lib/ve/data/cs.wal/wal".into(),
        key_file: "/var/lib/ve/config/priv_validator_key.json".into(),
        node_key_file: "/var/lib/ve/config/node_key.json".into(),
        state_file: "/var/lib/ve/data/priv_validator_state.json".into(),
        genesis_file: "/var/lib/ve/config/genesis.json".into(),
        timeout_commit_ms: 1000,
        create_empty_blocks: true,
        ..NodeConfig::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn an_empty_config_has_the_defaults() {
    let config = node_config("/h", "", Some("")).unwrap();
    assert_eq!(config.rpc.as_deref(), Some("127.0.0.1:26657"));
    assert_eq!((config.timeout_commit_ms, config.create_empty_blocks, config.adaptive_sync), (1000, true, false));
    assert_eq!((config.wal_file.as_str(), config.db_backend.as_str()), ("/h/data/cs.wal/wal", "goleveldb"));
}

#[test]
fn what_operators_change() {
    let text = r#"
        db_dir = "/srv/fast/./db/../data"
        priv_validator_laddr = "tcp://0.0.0.0:1234"
        priv_validator_state_file = "../keys/state.json"
        [consensus]
        wal_file = "/srv/wal/wal"
        timeout_commit = "1m30s"
        double_sign_check_height = "10"
        create_empty_blocks = false
        [blocksync]
        adaptive_sync = true
    "#;
    let config =
        node_config("/var/lib/ve", text, Some("halt-height = 77\nhalt-time = \"1700000000\"\n[api]\nhalt-height = 3"))
            .unwrap();
    assert_eq!(config.db_dir, "/srv/fast/data");
    assert_eq!(config.remote_signer, "tcp://0.0.0.0:1234");
    assert_eq!(config.state_file, "/var/lib/keys/state.json");
    assert_eq!(config.wal_file, "/srv/wal/wal");
    assert_eq!((config.timeout_commit_ms, config.double_sign_check_height), (90_000, 10));
    assert!(config.adaptive_sync && !config.create_empty_blocks);
    assert_eq!((config.halt_height, config.halt_time), (77, 1_700_000_000));
}

#[test]
fn where_rpc_is_reached() {
    let table = [
        ("tcp://0.0.0.0:26657", Some("127.0.0.1:26657")),
        ("tcp://[::]:26657", Some("127.0.0.1:26657")),
        ("tcp://:26657", Some("127.0.0.1:26657")),
        ("tcp://[fd00::5]:26657", Some("[fd00::5]:26657")),
        ("tcp://10.0.0.5:36657/", Some("10.0.0.5:36657")),
        ("localhost:26657", Some("localhost:26657")),
        ("unix:///run/rpc.sock", None),
        ("", None),
    ];
    for (laddr, expected) in table {
        assert_eq!(rpc_address(laddr).unwrap().as_deref(), expected, "{laddr}");
    }
    for laddr in ["tcp://host", "tcp://host:http", "tcp://host:99999"] {
        assert!(rpc_address(laddr).unwrap_err().contains(laddr), "{laddr}");
    }
}

#[test]
fn errors_name_file_and_key_or_line() {
    let table = [
        ("[rpc]\nladdr = 5", None, "config.toml: rpc.laddr should be text, not 5"),
        ("a = 1\nb = \n", None, "config.toml:2: "),
        ("[consensus]\ntimeout_commit = \"soon\"", None, "config.toml: consensus.timeout_commit should be a duration"),
        ("", Some("halt-height = -1"), "app.toml: halt-height should be a whole number, not -1"),
        ("", Some("halt-height = \"x\""), "app.toml: halt-height should be a whole number"),
    ];
    for (config, app, expected) in table {
        let error = node_config("/h", config, app).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn durations() {
    let table = [
        ("1s", Some(1000)),
        ("500ms", Some(500)),
        ("1m30s", Some(90_000)),
        ("1.5h", Some(5_400_000)),
        (".5s", Some(500)),
        ("0s", Some(0)),
        ("0", Some(0)),
        ("1500µs", Some(1)),
        ("", None),
        ("5", None),
        ("-1s", None),
        ("1x", None),
        ("1.2.3s", None),
        (".s", None),
    ];
    for (text, expected) in table {
        assert_eq!(go_duration_ms(text), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn durations_add_up(hours in 0..1000_u64, minutes in 0..10_000_u64, ms in 0..1_000_000_u64) {
        let expected = hours * 3_600_000 + minutes * 60_000 + ms;
        prop_assert_eq!(go_duration_ms(&format!("{hours}h{minutes}m{ms}ms")), Some(expected));
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,60}", laddr in "(tcp://|unix://)?[\\[\\]:.0-9a-z]{0,12}") {
        let _ = (go_duration_ms(&text), rpc_address(&laddr), node_config("/h", &text, Some(&text)));
        prop_assert!(absolute("/h", &text).starts_with('/'));
    }
}
