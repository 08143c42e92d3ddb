//! Finds the inventory and reads it.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::inventory::{Inventory, parse};

/// A larger file is no inventory.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The inventory at `given` (`-i` or `FLEET_INVENTORY`), else the first of the usual places.
pub fn inventory(given: Option<&Path>) -> Result<Inventory> {
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| Path::new(folder).is_absolute());
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let usual = usual_places(config.map(PathBuf::from).or(home));
    first_of(given.map_or(usual, |path| vec![path.to_owned()]).as_slice())
}

fn usual_places(config: Option<PathBuf>) -> Vec<PathBuf> {
    let user = config.map(|folder| folder.join("fleet/inventory.toml"));
    std::iter::once(PathBuf::from("inventory.toml")).chain(user).collect()
}

/// The inventory at the first of `places` where there is a file; one that is there but wrong is not passed over.
fn first_of(places: &[PathBuf]) -> Result<Inventory> {
    for place in places {
        match read(place) {
            Ok(text) => return parse(&text, place),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::usage(format!("the inventory {} can't be read: {error}", place.display())));
            }
        }
    }
    let looked: Vec<String> = places.iter().map(|place| format!("\n  looked at {}", place.display())).collect();
    let error = Error::usage(format!("there is no inventory{}", looked.concat()));
    Err(error.hint("name one with -i FILE or FLEET_INVENTORY, or write inventory.toml here"))
}

/// The text of an inventory.
pub fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::Error::other("it is larger than 4 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = include_str!("../../inventories/small.toml");

    #[test]
    fn takes_the_first_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there.toml");
        std::fs::write(&there, SMALL).unwrap();
        let found = first_of(&[folder.path().join("missing.toml"), there.clone()]).unwrap();
        assert_eq!(found.source, there);
    }

    #[test]
    fn a_wrong_one_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let (wrong, right) = (folder.path().join("wrong.toml"), folder.path().join("right.toml"));
        std::fs::write(&wrong, "format = 2").unwrap();
        std::fs::write(&right, SMALL).unwrap();
        assert!(first_of(&[wrong, right]).unwrap_err().message.starts_with("unknown format"));
    }

    #[test]
    fn says_where_it_looked_and_what_to_do() {
        let error = first_of(&usual_places(Some(PathBuf::from("/nowhere")))[1..]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no inventory\n  looked at /nowhere/fleet/inventory.toml\n\
             next: name one with -i FILE or FLEET_INVENTORY, or write inventory.toml here"
        );
    }

    #[test]
    fn refuses_what_is_no_inventory() {
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large.toml");
        std::fs::write(&large, " ".repeat(5 * 1024 * 1024)).unwrap();
        assert!(first_of(&[large]).unwrap_err().message.ends_with("larger than 4 MiB"));
        assert!(first_of(&[folder.path().to_owned()]).unwrap_err().message.contains("can't be read"));
    }
}
