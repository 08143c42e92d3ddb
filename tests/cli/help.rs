//! Help, completions and the manual page.

use super::fleet::Fleet;

/// Every command that can be named, and some below them.
const COMMANDS: [&[&str]; 36] = [
    &[],
    &["status"],
    &["exec"],
    &["halt"],
    &["start"],
    &["restart"],
    &["restore"],
    &["restore", "release"],
    &["resume"],
    &["unlock"],
    &["lock"],
    &["lock", "show"],
    &["inventory"],
    &["inventory", "check"],
    &["inventory", "show"],
    &["trust"],
    &["snapshot"],
    &["snapshot", "list"],
    &["snapshot", "show"],
    &["snapshot", "verify"],
    &["snapshot", "prune"],
    &["snapshot", "diff"],
    &["snapshot", "copy"],
    &["schedule"],
    &["schedule", "install"],
    &["schedule", "list"],
    &["schedule", "remove"],
    &["schedule", "run-due"],
    &["runs"],
    &["runs", "list"],
    &["runs", "show"],
    &["runs", "report"],
    &["rules"],
    &["demo"],
    &["completions"],
    &["man"],
];

fn help(fleet: &Fleet, command: &[&str], flag: &str) -> String {
    let ran = fleet.run_with(("COLUMNS", "80"), &[command, &[flag]].concat());
    ran.says(0, &["Usage: fleet"]);
    ran.out
}

#[test]
fn no_line_of_any_help_is_wider_than_80_columns() {
    let fleet = Fleet::with("");
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let text = help(&fleet, command, flag);
            let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{command:?} {flag}: {wide:?}");
        }
    }
}

#[test]
fn every_command_and_every_flag_is_documented() {
    let fleet = Fleet::with("");
    let top = help(&fleet, &[], "--help");
    for command in COMMANDS.iter().filter(|command| command.len() == 1) {
        assert!(top.lines().any(|line| line.trim_start().starts_with(command[0])), "{command:?} is not in\n{top}");
    }
    for command in COMMANDS {
        let text = help(&fleet, command, "--help");
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with('-')) {
            let inline = line.trim_start().split_once("  ").is_some_and(|(_, told)| !told.trim().is_empty());
            let below = lines.get(index + 1).is_some_and(|next| next.starts_with("          "));
            // A command line that goes on in the next line is an example.
            assert!(inline || below || lines[index - 1].ends_with('\\'), "{command:?}: {line}");
        }
    }
}

#[test]
fn the_top_help_says_what_is_left_on_hosts_and_the_exit_codes() {
    let text = help(&Fleet::with(""), &[], "-h");
    for words in ["Nothing is installed on the hosts", "/run/fleet", "/var/lib/fleet", "5 not armed", "75 locked"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    let fleet = Fleet::with("");
    for shell in ["bash", "zsh", "fish"] {
        fleet.run(&["completions", shell]).says(0, &["restart", "coordinated"]);
    }
    fleet.run(&["man"]).says(0, &[".TH fleet 1", "restart", "Exit codes"]);
    fleet.run(&["--version"]).says(0, &["fleet 0."]);
}
