//! The prompt on a terminal: the digest goes, anything else leaves.

use fleet::sim::{Fault, Sim};

use super::fleet::{Fleet, untouched};
use super::hosts::three;
use super::terminal::Terminal;

const RESTART: [&str; 6] = ["restart", "--coordinated", "--blocks", "2", "--facts-timeout", "60s"];

/// The word after the last `before` in `text`.
fn after<'a>(text: &'a str, before: &str) -> &'a str {
    let (_, rest) = text.rsplit_once(before).unwrap_or_else(|| panic!("no «{before}» in\n{text}"));
    rest.split(' ').next().unwrap()
}

fn online(sim: &Sim) -> u64 {
    sim.control().chain().unwrap().online
}

#[test]
fn the_short_digest_goes() {
    let (fleet, sim) = Fleet::simulated(&three());
    let mut terminal = Terminal::start(&fleet, 100, &RESTART);
    let shown = terminal.wait_for("to go, anything else to leave: ");
    untouched(&sim);
    assert_eq!(fleet.runs(), 0);
    terminal.type_line(after(&shown, "Type "));
    terminal.wait_for("chain advancing");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("100 of 100 signed"), "{shown}");
}

#[test]
fn anything_else_leaves_with_nothing_changed() {
    let (fleet, sim) = Fleet::simulated(&three());
    for typed in ["", "y", "yes", "0000"] {
        let mut terminal = Terminal::start(&fleet, 100, &RESTART);
        terminal.wait_for("anything else to leave: ");
        terminal.type_line(typed);
        let (code, shown) = terminal.end();
        assert!(code == 1 && shown.contains("left; nothing was changed"), "«{typed}»: {code}\n{shown}");
    }
    let mut terminal = Terminal::start(&fleet, 100, &RESTART);
    terminal.wait_for("anything else to leave: ");
    terminal.interrupt();
    assert_ne!(terminal.end().0, 0);
    assert_eq!(fleet.runs(), 0);
    untouched(&sim);
}

#[test]
fn a_start_asks_yes_or_no() {
    let (fleet, sim) = Fleet::simulated(&three());
    fleet.run(&["halt", "--yes", "--facts-timeout", "60s"]).says(0, &["all stopped"]);
    for (typed, code, words) in [("n", 1, "left; nothing was changed"), ("y", 0, "chain advancing")] {
        let start = ["start", "--blocks", "2", "--facts-timeout", "60s"];
        let mut terminal = Terminal::start(&fleet, 100, &start);
        terminal.wait_for("Go? [y/N] ");
        assert_eq!(online(&sim), 0);
        terminal.type_line(typed);
        let (ended, shown) = terminal.end();
        assert!(ended == code && shown.contains(words), "{ended}\n{shown}");
    }
}

#[test]
fn a_host_that_is_out_of_reach_can_be_left_out() {
    let (fleet, sim) = Fleet::simulated(&three());
    // While it can be reached its address is learnt, and with it its share of the power.
    fleet.run(&["status", "--timeout", "60s"]).says(0, &["100 of 100"]);
    sim.control().fault("val-3", Fault::Refuse(true)).unwrap();
    let mut terminal = Terminal::start(&fleet, 100, &RESTART);
    let shown = terminal.wait_for("anything else to leave: ");
    assert!(shown.contains("Without val-3 (20 of 100) 80 remain, quorum 67: plan "), "{shown}");
    terminal.type_line("0000");
    let (code, shown) = terminal.end();
    assert!(code == 1 && shown.contains("left; nothing was changed"), "{shown}");
    untouched(&sim);

    let mut terminal = Terminal::start(&fleet, 100, &RESTART);
    let shown = terminal.wait_for("anything else to leave: ");
    let without = after(&shown, "Type ");
    assert_ne!(without, after(&shown, "to go on without, "), "each plan has its own digest");
    terminal.type_line(without);
    terminal.wait_for("chain advancing");
    let (code, shown) = terminal.end();
    assert!(code == 0 && shown.contains("2 of 2 proven stopped"), "{shown}");
}

#[test]
fn a_host_lost_between_plan_and_arming_is_offered_anew() {
    let (fleet, sim) = Fleet::simulated(&three());
    let mut terminal = Terminal::start(&fleet, 100, &RESTART);
    let shown = terminal.wait_for("anything else to leave: ");
    sim.control().fault("val-3", Fault::Refuse(true)).unwrap();
    sim.control().fault("val-3", Fault::Cut).unwrap();
    terminal.type_line(after(&shown, "Type "));
    let shown = terminal.wait_for("to go on without, ");
    assert!(shown.contains("not armed: 1 of 3 hosts, nothing was changed"), "{shown}");
    assert_eq!(online(&sim), 100);
    terminal.wait_for("to try with all of them, anything else to leave: ");
    terminal.type_line(after(&shown, "Type "));
    terminal.wait_for("chain advancing");
    let (code, shown) = terminal.end();
    assert!(code == 0 && shown.contains("2 of 2 proven stopped"), "{shown}");
}
