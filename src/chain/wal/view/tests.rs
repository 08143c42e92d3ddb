use super::super::corpus::{self, CLEAN, CORRUPTED, HALTED, ROUNDS};
use super::super::record::Cause;
use super::*;

fn view(log: &[u8]) -> View {
    View::of(&Log::whole([log]))
}

#[test]
fn what_real_logs_tell() {
    let table = [
        (CLEAN, 2, (3, 0, 1)),
        (HALTED[1], 2, (3, 0, 4)),
        (ROUNDS[0], 8, (9, 1, 6)),
        (ROUNDS[1], 8, (9, 1, 4)),
        (ROUNDS[2], 8, (9, 0, 6)),
    ];
    for (log, ended, (height, round, step)) in table {
        let view = view(log);
        assert_eq!((view.last_end_height, view.furthest), (Some(ended), Some(Point { height, round, step })));
        assert_eq!((view.end, view.damage), (End::Clean, vec![]));
    }
}

#[test]
fn damage_is_told_where_it_is() {
    let damage = Damage { offset: 20_238, cause: Cause::Length(185_339_150) };
    assert_eq!(view(CORRUPTED).end, End::Corrupted(damage));
    let mut log = HALTED[1].to_vec();
    log[200] ^= 1;
    let view = view(&log);
    assert_eq!(view.end, End::Clean);
    assert_eq!(view.damage.iter().map(|damage| &damage.cause).collect::<Vec<_>>(), [&Cause::Checksum]);
}

#[test]
fn a_log_holds_the_votes_that_its_node_saw() {
    let validators = corpus::halted();
    let signed = corpus::spoken(corpus::HALTED_STATES[1], 1, &validators);
    assert!(view(HALTED[1]).holds(signed.signature()));
    assert!(!view(HALTED[0]).holds(signed.signature()));
    assert!(!view(HALTED[1]).holds(b""));
}

#[test]
fn a_step_has_its_number() {
    assert_eq!(["RoundStepNewHeight", "RoundStepCommit", "odd"].map(step), [1, 8, 0]);
}
