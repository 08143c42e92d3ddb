//! Whether a log that was set aside may be put back.

use super::found::Files;
use crate::chain::signer::state;
use crate::model::facts::SignerState;

/// Why a node keeps the log that it has, as in `val-1 …`; `None` where the one that was set aside last may be put back.
/// That lacks whatever was signed since: a node that replays it is mute in that round.
pub fn against(files: &Files) -> Option<String> {
    // Runs' names are in the order of time, and so are the folders.
    let Some(aside) = files.folders.iter().rfind(|folder| folder.can_be_put_back) else {
        return Some("has no log that was set aside".into());
    };
    match (&aside.signer, &files.signer) {
        (None, None) => None,
        (Some(Ok(then)), Some(Ok(now))) if then == now => None,
        (Some(Ok(then)), Some(Ok(now))) => Some(since(then, now)),
        (_, Some(Err(reason))) | (Some(Err(reason)), _) => {
            Some(format!("has a signer's state that can't be read: {reason}"))
        }
        (None, Some(Ok(_))) => Some("may have signed since: no signer's state was kept with its old log".into()),
        (Some(Ok(_)), None) => Some("has lost its signer's state since".into()),
    }
}

fn since(then: &str, now: &str) -> String {
    match (state(then), state(now)) {
        (Ok(then), Ok(now)) if then != now => format!("has signed since: {}, then {}", place(then), place(now)),
        _ => "has another signer's state than when its log was set aside".into(),
    }
}

fn place(SignerState { height, round, step }: SignerState) -> String {
    format!("{height}/{round}/{step}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::wal::found::Folder;

    type Text = Option<Result<String, String>>;

    fn text(height: u64, step: u8) -> String {
        format!(r#"{{"height":"{height}","round":0,"step":{step}}}"#)
    }

    fn files(asides: &[Text], now: Text) -> Files {
        let live = Folder { path: "/d/cs.wal".into(), ..Folder::default() };
        let aside = |signer: &Text| Folder { can_be_put_back: true, signer: signer.clone(), ..Folder::default() };
        let put_back = Folder { signer: Some(Ok(text(1, 1))), ..Folder::default() };
        Files { folders: [live].into_iter().chain(asides.iter().map(aside)).chain([put_back]).collect(), signer: now }
    }

    #[test]
    fn a_log_is_put_back_where_the_signer_is_where_it_was() {
        assert_eq!(against(&files(&[None], None)), None);
        assert_eq!(against(&files(&[Some(Ok(text(35, 2)))], Some(Ok(text(35, 2))))), None);
        // The last one counts.
        assert_eq!(against(&files(&[Some(Ok(text(30, 2))), Some(Ok(text(35, 2)))], Some(Ok(text(35, 2))))), None);
    }

    #[test]
    fn a_node_that_keeps_its_log_says_why() {
        let unread = || Some(Err("permission denied".to_owned()));
        let other = Some(Ok(r#"{"height":"35","round":0,"step":2,"signature":"x"}"#.to_owned()));
        let table = [
            (files(&[], Some(Ok(text(35, 2)))), "has no log that was set aside"),
            (files(&[Some(Ok(text(35, 2)))], Some(Ok(text(36, 3)))), "has signed since: 35/0/2, then 36/0/3"),
            (
                files(&[Some(Ok(text(35, 2))), Some(Ok(text(34, 2)))], Some(Ok(text(35, 2)))),
                "has signed since: 34/0/2, then 35/0/2",
            ),
            (files(&[Some(Ok(text(35, 2)))], other), "has another signer's state than when its log was set aside"),
            (files(&[Some(Ok(text(35, 2)))], unread()), "has a signer's state that can't be read: permission denied"),
            (files(&[unread()], Some(Ok(text(35, 2)))), "has a signer's state that can't be read: permission denied"),
            (
                files(&[None], Some(Ok(text(35, 2)))),
                "may have signed since: no signer's state was kept with its old log",
            ),
            (files(&[Some(Ok(text(35, 2)))], None), "has lost its signer's state since"),
        ];
        for (files, reason) in table {
            assert_eq!(against(&files).as_deref(), Some(reason));
        }
    }
}
