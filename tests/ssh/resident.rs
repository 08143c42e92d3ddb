//! The shell that stays open between questions.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fleet::model::inventory::Become;
use fleet::ssh::resident::Residents;
use fleet::ssh::{Exit, Link, LinkError, LinkErrorKind, Output};

use crate::sshd::{Options, Sshd};

const BOUND: Duration = Duration::from_secs(20);

struct Asked {
    residents: Residents,
    link: Arc<Link>,
    _sshd: Sshd,
}

impl Asked {
    async fn new() -> Self {
        let sshd = Sshd::start(&Options::default());
        sshd.trust();
        let link = sshd.links().link("h").await.unwrap();
        Self { residents: Residents::default(), link, _sshd: sshd }
    }

    async fn ask(&self, script: &str, args: &[&str], bound: Duration) -> Result<Output, LinkError> {
        self.residents.run(&self.link, Become::None, (script, args), bound).await
    }

    /// The process id of the shell that answers.
    async fn shell(&self) -> String {
        said(&self.ask("echo $$", &[], BOUND).await.unwrap())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

#[tokio::test]
async fn questions_share_one_shell_and_nothing_else() {
    let asked = Asked::new().await;
    let first = asked.ask("cd /; left=over; umask 0; echo one >&2; cat; echo \"$1 $$\"; exit 3", &["a b"], BOUND);
    let first = first.await.unwrap();
    assert_eq!((first.stderr.as_slice(), first.exit.clone()), (&b"one\n"[..], Exit::Code(3)));
    let second =
        asked.ask("echo \"$#$left $$\"; [ \"$(pwd)\" != / ] && [ \"$(umask)\" != 0000 ]", &[], BOUND).await.unwrap();
    assert_eq!((second.stderr.as_slice(), second.exit.clone()), (&b""[..], Exit::Code(0)));
    assert_eq!(said(&first).replace("a b ", "0 "), said(&second));
    let long = asked.ask("head -c 3000000 /dev/zero | tr '\\0' x", &[], BOUND).await.unwrap();
    assert_eq!(long.stdout.len(), 3_000_000);
}

#[tokio::test]
async fn two_questions_at_once_are_both_answered() {
    let asked = Asked::new().await;
    let (one, two) =
        tokio::join!(asked.ask("sleep 1; echo one", &[], BOUND), asked.ask("sleep 1; echo two", &[], BOUND));
    assert_eq!((said(&one.unwrap()), said(&two.unwrap())), ("one".into(), "two".into()));
}

#[tokio::test]
async fn a_shell_that_was_ended_is_opened_anew() {
    let asked = Asked::new().await;
    let first = asked.shell().await;
    assert!(Command::new("kill").args(["-9", &first]).status().unwrap().success());
    // Its end has to be known to sshd, else what is written to it is lost on the way.
    while std::path::Path::new(&format!("/proc/{first}")).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = asked.shell().await;
    assert_ne!(first, second);
    // One that ends in the middle of a question: nobody knows what came of it, and it isn't asked twice.
    let broken = asked.ask("echo part; kill -9 $$; sleep 5", &[], BOUND).await.unwrap_err();
    assert_eq!(broken.kind, LinkErrorKind::Lost, "{broken}");
    assert_eq!(broken.partial.unwrap().stdout, b"part\n");
    assert_ne!(asked.shell().await, second);
}

#[tokio::test]
async fn a_question_without_an_answer_holds_up_no_other() {
    let asked = Asked::new().await;
    let first = asked.shell().await;
    let late = asked.ask("echo begun; sleep 30", &[], Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((late.kind, late.partial.unwrap().stdout), (LinkErrorKind::Overdue, b"begun\n".to_vec()));
    assert_ne!(asked.shell().await, first);
}
