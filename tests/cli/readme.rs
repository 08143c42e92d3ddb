//! The command lines of the README run as they stand there, on simulated hosts instead of the lab's or one's own.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::fleet::Fleet;
use super::hosts::three;

const README: &str = include_str!("../../README.md");

/// The blocks of this language.
fn blocks(language: &'static str) -> impl Iterator<Item = &'static str> {
    README.split("```").skip(1).step_by(2).filter_map(move |block| block.strip_prefix(language))
}

/// The lines of the blocks that are commands.
fn commands() -> Vec<&'static str> {
    blocks("sh\n").flat_map(str::lines).collect()
}

#[test]
fn the_commands_of_the_readme_run() {
    let (fleet, sim) = Fleet::simulated(&three());
    let inventory: Vec<&str> = blocks("toml\n").collect();
    fleet.edit("[fleet]", &format!("{}\n[fleet]", inventory.concat()));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    symlink(root.join("inventories"), fleet.home().join("inventories")).unwrap();
    std::fs::copy(sim.inventory(), fleet.home().join("lab.toml")).unwrap();
    let mut ran = Vec::new();
    for line in commands() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let args = match words.as_slice() {
            ["fleet", args @ ..] | ["cargo", "run", "--release", "--", args @ ..] => args,
            [script @ ("scripts/lab" | "scripts/test"), ..] => {
                assert!(root.join(script).is_file(), "{line}");
                continue;
            }
            ["cp", from, "inventory.toml"] => {
                assert!(root.join(from).is_file(), "{line}");
                continue;
            }
            _ => panic!("the README has a command that no test knows: {line}"),
        };
        // Nobody is here to type the digest, and the machine may be busy.
        let more: &[&str] = match args[0] {
            "restart" if args.contains(&"--dry-run") => &["--facts-timeout", "60s"],
            "restart" | "backup" | "restore" => &["--facts-timeout", "60s", "--yes"],
            "status" => &["--timeout", "60s"],
            _ => &[],
        };
        let args = [args, more].concat();
        let output = fleet.run(&args);
        assert_eq!(output.code, 0, "{line}\n{output}");
        ran.push(args[0].to_owned());
    }
    let shown =
        ["demo", "status", "restart", "inventory", "trust", "runs", "backup", "snapshot", "restore", "schedule"];
    for command in shown {
        assert!(ran.iter().any(|one| one == command), "the README doesn't show fleet {command}");
    }
}

#[test]
fn the_readme_names_only_commands_that_exist() {
    let fleet = Fleet::with("");
    let named = README.split('`').filter_map(|text| text.strip_prefix("fleet ")).filter(|text| !text.contains('\n'));
    let mut count = 0;
    for command in named {
        let words: Vec<&str> = command.split_whitespace().take_while(|word| !word.starts_with(['-', '\''])).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect();
        fleet.run(&[&words[..], &["--help"]].concat()).says(0, &["Usage: fleet"]);
        count += 1;
    }
    assert!(count > 10, "{count}");
}
