//! Who may work in a store beside whom, and where a store may be.

use fleet::store::{Purpose, Store};

use super::world::World;

const ALL: [Purpose; 5] = [Purpose::Backup, Purpose::Verify, Purpose::Restore, Purpose::Copy, Purpose::Prune];

#[test]
fn a_prune_is_alone_and_the_others_aren_t() {
    for first in ALL {
        for second in ALL {
            let world = World::new();
            let hold = world.run(world.store.hold(first, "ops@one", "01A")).unwrap();
            let other = world.run(world.store.hold(second, "ops@two", "01B"));
            if first != Purpose::Prune && second != Purpose::Prune {
                world.run(other.unwrap().release());
            } else {
                let Err(error) = other else { panic!("{first:?} and {second:?}") };
                assert_eq!(error.kind.exit_code(), 75);
                let said = format!("ops@one holds it for a {first} since 2026-02-08 14:00:00 UTC, run 01A");
                assert!(error.message.contains(&said), "{error}");
            }
            world.run(hold.release());
            world.run(world.run(world.store.hold(second, "ops@two", "01B")).unwrap().release());
            assert!(!world.files().iter().any(|name| name.starts_with("locks/")));
        }
    }
}

#[test]
fn of_many_prunes_at_once_no_two_go_on() {
    let world = World::new();
    let holds = world.run(async {
        let tries = (0..6).map(|n| {
            let store = world.store.clone();
            tokio::spawn(async move { store.hold(Purpose::Prune, "ops", &format!("01{n}")).await })
        });
        let mut won = 0;
        for one in tries.collect::<Vec<_>>() {
            // Held until the end, or given back when it was locked.
            won += usize::from(one.await.unwrap().map(std::mem::forget).is_ok());
        }
        won
    });
    assert!(holds <= 1, "{holds}");
}

#[test]
fn a_lease_that_ran_out_is_taken_over_and_its_holder_stops() {
    let world = World::new();
    let old = world.run(world.store.hold(Purpose::Backup, "ops@one", "01A")).unwrap();
    old.check().unwrap();
    world.clock.pass(119_000);
    assert!(world.run(world.store.hold(Purpose::Prune, "ops@two", "01B")).is_err());
    world.clock.pass(2_000);
    let new = world.run(world.store.hold(Purpose::Prune, "ops@two", "01B")).unwrap();
    assert!(old.check().unwrap_err().message.contains("run out"));
    new.check().unwrap();
    assert!(!world.files().contains("locks/01A.json"));
}

#[test]
fn the_same_run_takes_its_own_lease_over() {
    let world = World::new();
    std::mem::forget(world.run(world.store.hold(Purpose::Prune, "ops", "01A")).unwrap());
    world.run(world.store.hold(Purpose::Prune, "ops", "01A")).unwrap();
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let world = World::new();
    let other = world.beside("other");
    let missing = world.run(Store::at(&other)).map(|_| ()).unwrap_err();
    assert_eq!((missing.kind.exit_code(), missing.message.contains("there is no store at")), (2, true), "{missing}");
    std::fs::create_dir(&other).unwrap();
    std::fs::create_dir(other.join("lost+found")).unwrap();
    world.run(Store::at_or_new(&other)).unwrap();
    world.run(Store::at(&other)).unwrap();
    let full = world.beside("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("letter.txt"), "dear").unwrap();
    for opened in [world.run(Store::at(&full)), world.run(Store::at_or_new(&full))] {
        let error = opened.map(|_| ()).unwrap_err();
        assert!(error.message.contains("isn't a store of fleet, and it isn't empty"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&full).unwrap().count(), 1);
    let unmounted = world.run(Store::at_or_new(&world.beside("no/such/disk"))).map(|_| ()).unwrap_err();
    assert!(unmounted.message.contains("No such file"), "{unmounted}");
    std::fs::write(world.root().join("fleet-store.json"), r#"{"format":2,"id":"x"}"#).unwrap();
    let newer = world.run(Store::at(&world.root())).map(|_| ()).unwrap_err();
    assert!(newer.message.contains("format 2") && !newer.hints.is_empty(), "{newer}");
}
