//! Which snapshot is meant: an id, the beginning of one, `latest`, or `HOST:latest`.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::model::nearest::did_you_mean;
use crate::store::Store;

const LATEST: &str = "latest";

/// The id that is meant. An error says so where its manifest is lost.
pub async fn one(store: &Store, text: &str) -> Result<String> {
    let id = any(store, text).await?;
    if store.lost().await?.contains(&id) { Err(store.missing(&id)) } else { Ok(id) }
}

/// The same, whether its manifest is lost or not.
async fn any(store: &Store, text: &str) -> Result<String> {
    let ids = store.ids().await?;
    let host = text.strip_suffix(LATEST).and_then(|rest| rest.strip_suffix(':'));
    match (ids.last(), host) {
        (Some(last), _) if text == LATEST => return Ok(last.clone()),
        (Some(_), Some(host)) => return latest_of(store, &ids, host).await,
        _ => {}
    }
    let ids = all(store).await?;
    if ids.is_empty() {
        return Err(Error::usage(format!("there is no snapshot in {} yet", store.place())));
    }
    beginning(&ids, text, &store.place())
}

async fn all(store: &Store) -> Result<BTreeSet<String>> {
    let mut ids = store.ids().await?;
    ids.extend(store.lost().await?);
    Ok(ids)
}

/// All that are meant; all there are where none is named. Those whose manifest is lost are among them.
pub(super) async fn several(store: &Store, texts: &[String]) -> Result<BTreeSet<String>> {
    if texts.is_empty() {
        return all(store).await;
    }
    let mut ids = BTreeSet::new();
    for text in texts {
        ids.insert(any(store, text).await?);
    }
    Ok(ids)
}

/// One that can't be read is an error: it may be the one.
async fn latest_of(store: &Store, ids: &BTreeSet<String>, host: &str) -> Result<String> {
    let mut hosts = BTreeSet::new();
    for id in ids.iter().rev() {
        let summary = store.summary(id).await?;
        if summary.host == host {
            return Ok(id.clone());
        }
        hosts.insert(summary.host);
    }
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let error = Error::usage(format!("there is no snapshot of {host} in {}", store.place()));
    Err(error.hint(did_you_mean(host, hosts.iter().copied()).unwrap_or_else(|| format!("it has {}", hosts.join(", ")))))
}

fn beginning(ids: &BTreeSet<String>, text: &str, place: &str) -> Result<String> {
    let wanted = text.trim().to_uppercase();
    let begin = |id: &&String| !wanted.is_empty() && id.to_uppercase().starts_with(&wanted);
    let found: Vec<&String> = ids.iter().filter(begin).collect();
    match found.as_slice() {
        _ if ids.contains(text) => Ok(text.to_owned()),
        [only] => Ok((*only).clone()),
        [] => {
            let newest: Vec<&str> = ids.iter().rev().take(3).map(String::as_str).collect();
            let mut error = Error::usage(format!("there is no snapshot \"{}\" in {place}", text.escape_debug()));
            error.hints.extend(did_you_mean(text, ids.iter().map(String::as_str)));
            Err(error.hint(format!("the newest are {}; all: fleet snapshot list", newest.join(", "))))
        }
        several => {
            let some: Vec<&str> = several.iter().take(5).map(|id| id.as_str()).collect();
            Err(Error::usage(format!("{} snapshots begin with {wanted}", several.len()))
                .hint(format!("write more of the id: {}", some.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_must_be_unique() {
        let ids: BTreeSet<String> = ["01AB", "01AC", "02"].map(str::to_owned).into();
        let of = |text: &str| beginning(&ids, text, "/s").map_err(|error| error.to_string());
        assert_eq!(of("01ab").unwrap(), "01AB");
        assert_eq!(of("02").unwrap(), "02");
        assert!(of("01").unwrap_err().contains("2 snapshots begin with 01\nnext: write more of the id: 01AB, 01AC"));
        assert!(of("01AD").unwrap_err().contains("did you mean \"01AB\"?\nnext: the newest are 02, 01AC, 01AB"));
        for text in ["", " ", "x", "../01AB"] {
            assert!(of(text).unwrap_err().contains("there is no snapshot"), "{text}");
        }
    }
}
