//! Commands over a link: their output, their end, and what is left when the link dies.

use std::time::Duration;

use fleet::model::inventory::Become;
use fleet::ssh::shell::run_script;
use fleet::ssh::{Event, Exit, LinkErrorKind};

use crate::sshd::{Options, Sshd};

const BOUND: Duration = Duration::from_secs(20);

/// Kills the sshd process that serves the shell which reads this.
pub const CUT: &str = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)";

#[tokio::test]
async fn a_command_runs_and_its_whole_output_comes_back() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let link = sshd.links().link("h").await.unwrap();
    let output = link.run("cat; echo err >&2; exit 3", b"hello", BOUND).await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"hello"[..], &b"err\n"[..]));
    assert_eq!(output.exit, Exit::Code(3));
    let killed = link.run("kill -TERM $$", b"", BOUND).await.unwrap();
    assert_eq!(killed.exit, Exit::Signal("TERM".into()));
}

#[tokio::test]
async fn a_link_that_is_cut_in_the_middle_keeps_what_had_come() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let links = sshd.links();
    let link = links.link("h").await.unwrap();
    let mut remote = link.open("exec /bin/sh -c 'echo part; read go; kill -9 $PPID'").await.unwrap();
    assert_eq!(remote.next().await, Event::Stdout("part\n".into()));
    remote.write(b"go\n").await.unwrap();
    assert_eq!(remote.next().await, Event::Lost);
    // The next one gets a new connection.
    let again = links.link("h").await.unwrap();
    assert!(link.is_closed() && again.run("true", b"", BOUND).await.unwrap().is_success());
}

#[tokio::test]
async fn a_script_whose_link_dies_is_unknown_and_keeps_its_own_output_alone() {
    let noisy = "#!/bin/sh\necho welcome\necho motd >&2\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n";
    let sshd = Sshd::forcing(noisy);
    let link = sshd.links().link("h").await.unwrap();
    let script = format!("echo part\necho err >&2\nsleep 1\n(exec /bin/sh -c {})", shlex::try_quote(CUT).unwrap());
    let error = run_script(&link, Become::None, &script, &[], BOUND).await.unwrap_err();
    assert_eq!((error.kind, error.is_unknown()), (LinkErrorKind::Lost, true), "{error}");
    let partial = error.partial.unwrap();
    assert_eq!((partial.stdout.as_slice(), partial.stderr.as_slice()), (&b"part\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_unknown() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let link = sshd.links().link("h").await.unwrap();
    let bound = Duration::from_secs(2);
    let error = run_script(&link, Become::None, "echo begun; sleep 10", &[], bound).await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::Overdue);
    assert_eq!(error.partial.unwrap().stdout, b"begun\n");
}

#[tokio::test]
async fn output_without_end_is_cut_and_unknown() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let link = sshd.links().link("h").await.unwrap();
    let error = link.run("exec yes", b"", Duration::from_secs(120)).await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::TooMuch, "{error}");
    let kept = error.partial.unwrap().stdout.len();
    assert!(((64 << 20)..(70 << 20)).contains(&kept), "{kept}");
}

#[tokio::test]
async fn banners_and_noisy_shells_are_no_part_of_the_output() {
    // Noise before and after, without a line's end, as start-up and logout files write it.
    let noisy = "#!/bin/sh\nprintf 'Welcome to fish'\nprintf 'noise' >&2\n\
                 /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\ncode=$?\necho bye\necho bye >&2\nexit $code\n";
    let sshd = Sshd::forcing(noisy);
    let link = sshd.links().link("h").await.unwrap();
    let output = run_script(&link, Become::None, "printf 'a\\nb'; exit 7", &[], BOUND).await.unwrap();
    assert_eq!((output.stdout.as_slice(), &output.exit), (&b"a\nb"[..], &Exit::Code(7)));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("noise"), "{output:?}");
}

#[tokio::test]
async fn a_login_without_a_shell_is_told_apart() {
    let sshd = Sshd::forcing("#!/bin/sh\necho 'This account is for backups only.' >&2\nexit 1\n");
    let link = sshd.links().link("h").await.unwrap();
    let error = run_script(&link, Become::None, "true", &[], BOUND).await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::Privilege);
    assert!(error.message.contains("no /bin/sh could be run") && error.message.contains("backups only"), "{error}");
    assert!(error.hint.unwrap().contains("shell"));
}

#[tokio::test]
async fn sudo_that_wants_a_password_is_named() {
    let sshd = Sshd::forcing("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n");
    let link = sshd.links().link("h").await.unwrap();
    let error = run_script(&link, Become::Sudo, "true", &[], BOUND).await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::Privilege);
    assert!(error.hint.unwrap().contains("NOPASSWD"));
}
