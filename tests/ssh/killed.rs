//! A remote script that is killed at any of its commands.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Fills `bin`, a folder to stand before `path` in PATH: each of the commands does its work, counts, and kills all of the
/// script at `after`. The PATH.
pub fn killers(bin: &Path, path: &str, commands: &[&str], after: usize) -> String {
    fs::create_dir_all(bin).unwrap();
    let count = bin.join("count");
    fs::write(&count, "").unwrap();
    for command in commands {
        let text = format!(
            "#!/bin/sh\nPATH='{path}' {command} \"$@\"\ncode=$?\necho >>'{count}'\n\
             left=0\nwhile read -r _; do left=$((left + 1)); done <'{count}'\n\
             [ \"$left\" -lt {after} ] || kill -9 0\nexit $code\n",
            count = count.display()
        );
        let file = bin.join(command);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{path}", bin.display())
}
