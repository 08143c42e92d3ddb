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
    everywhere(events, |prefixes| {
        let rig = Rig::new(&small());
        prefixes.for_each(|prefix| kill_after(&rig, prefix));
    });
}

fn kill_after(rig: &Rig, prefix: usize) {
    let (before, starts) = (rig.chain().signers, starts(rig));
    let Killed { done, context } = kill(rig, RESTART, prefix);
    if !done {
        assert_eq!(self::starts(rig), starts, "{context}");
        rig.run(RESTART).ended(0);
    }
    rig.is_well(&before, &context);
    for (host, count) in self::starts(rig) {
        assert_eq!(count, starts[&host] + 1, "{host} {context}");
    }
}

/// Hands every number up to that of a run's events to several workers, each of which takes the next when it is ready.
pub fn everywhere(events: usize, worker: impl Fn(&mut dyn Iterator<Item = usize>) + Sync) {
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let mut prefixes = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let worker = &worker;
            scope.spawn(move || worker(&mut prefixes.by_ref().take_while(|prefix| *prefix <= events)));
        }
    });
}

/// What became of a run that was killed and resumed.
pub struct Killed {
    /// It came to its end; else it had changed nothing, and it is over.
    pub done: bool,
    pub context: String,
}

/// Kills a run after so many events, and resumes it.
pub fn kill(rig: &Rig, words: &str, prefix: usize) -> Killed {
    let (over, context) = die(rig, words, prefix);
    if over {
        return Killed { done: true, context };
    }
    let resumed = rig.run("resume --yes -o json");
    let context = format!("{context}\n{}\n{}", resumed.out, resumed.err);
    let done = rig.events().iter().any(|event| event["event"] == "run_ended" && event["exit"] == 0);
    if done {
        assert!(matches!(resumed.code, Some(0 | 2)), "{context}");
    } else {
        assert_eq!(resumed.code, Some(0), "{context}");
        assert!(resumed.err.contains("had changed nothing"), "{context}");
    }
    Killed { done, context }
}

/// Kills a run after so many events; says whether it was over before.
pub fn die(rig: &Rig, words: &str, prefix: usize) -> (bool, String) {
    let runs = rig.runs().len();
    let mut run = rig.start(words);
    let recorded = || if rig.runs().len() > runs { rig.recorded() } else { 0 };
    while recorded() < prefix && run.child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // It may have had fewer events this time and be over.
    if run.child.try_wait().unwrap().is_none() {
        run.signal(Signal::KILL);
    }
    let killed = run.wait();
    (killed.code.is_some(), format!("killed after event {prefix}: {:?}", rig.events().last()))
}

pub fn starts(rig: &Rig) -> BTreeMap<String, usize> {
    rig.hosts().into_iter().map(|host| (host.clone(), rig.starts(&host))).collect()
}
