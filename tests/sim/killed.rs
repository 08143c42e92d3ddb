//! fleet dies at every point of a run, and the next one brings everything back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::rig::{Rig, small};

const RESTART: &str = "restart --coordinated --yes -o json --stop-timeout 10s";
/// Simulations at once.
const WORKERS: usize = 4;

#[test]
fn killed_after_any_event_a_run_is_brought_to_its_end() {
    let rig = Rig::new(&small());
    rig.run(RESTART).ended(0);
    let events = rig.events().len();
    assert!(events > 40, "{events}");
    drop(rig);
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let rig = Rig::new(&small());
                while let prefix = next.fetch_add(1, Ordering::Relaxed)
                    && prefix <= events
                {
                    kill_after(&rig, prefix);
                }
            });
        }
    });
}

fn kill_after(rig: &Rig, prefix: usize) {
    let (before, starts, runs) = (rig.chain().signers, starts(rig), rig.runs().len());
    let mut run = rig.start(RESTART);
    let recorded = || if rig.runs().len() > runs { rig.events().len() } else { 0 };
    while recorded() < prefix && run.child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // It may have had fewer events this time and be over.
    if run.child.try_wait().unwrap().is_none() {
        run.signal(Signal::KILL);
    }
    let killed = run.wait();
    let context = format!("killed after event {prefix}: {:?}", rig.events().last());
    if killed.code.is_none() {
        let resumed = rig.run("resume --yes -o json");
        let context = format!("{context}\n{}\n{}", resumed.out, resumed.err);
        if rig.events().iter().any(|event| event["event"] == "run_ended" && event["exit"] == 0) {
            assert!(matches!(resumed.code, Some(0 | 2)), "{context}");
        } else {
            assert_eq!(resumed.code, Some(0), "{context}");
            assert!(resumed.err.contains("had changed nothing"), "{context}");
            assert_eq!(self::starts(rig), starts, "{context}");
            rig.run(RESTART).ended(0);
        }
    }
    rig.is_well(&before, &context);
    for (host, count) in self::starts(rig) {
        assert_eq!(count, starts[&host] + 1, "{host} {context}");
    }
}

fn starts(rig: &Rig) -> BTreeMap<String, usize> {
    rig.hosts().into_iter().map(|host| (host.clone(), rig.starts(&host))).collect()
}
