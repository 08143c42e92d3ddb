//! `fleet exec`.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::app::context::Context;
use crate::app::{signals, waiting};
use crate::cli::{ExecArgs, Output};
use crate::engine::Interrupt;
use crate::error::{Error, Kind, Result};
use crate::model::inventory::Become;
use crate::model::selector::select;
use crate::render::exec::{Answer, End, exec_text};
use crate::render::next::Reason;
use crate::ssh::shell::run_script_until;
use crate::ssh::{Exit, LinkError, LinkErrorKind};

/// A shell of its own, so that nothing the command does to it can touch the frame around its output.
const SCRIPT: &str = "exec /bin/sh -c \"$1\" </dev/null";

/// Runs a command on hosts; 4 when one of them failed.
pub async fn exec(context: &Context, args: &ExecArgs) -> Result<u8> {
    let selector = context.selector(Some(&args.selector))?.unwrap_or_default();
    let hosts = select(&selector, &context.inventory)?.hosts;
    let command = &command_line(&args.command)?;
    let interrupt = signals::listen().map_err(|error| Error::failed(format!("signals: {error}")))?;
    let began = Instant::now();
    let asked = hosts.iter().map(|host| ask(context, args, host, command, interrupt.clone()));
    let answers = waiting::all(&hosts, asked, |answer| {
        if context.global.output == Output::Jsonl {
            context.print(&answer.json().to_string());
        }
    });
    let answers = answers.await;
    show(context, &answers, began.elapsed());
    let interrupted = *interrupt.borrow();
    Ok(match interrupted {
        Interrupt::Gently(signal) | Interrupt::Now(signal) => Kind::Interrupted(signal).exit_code(),
        Interrupt::None if answers.iter().all(Answer::is_success) => 0,
        Interrupt::None => Kind::Incomplete.exit_code(),
    })
}

/// A single word is shell text; several are quoted, each to stay one word.
fn command_line(words: &[String]) -> Result<String> {
    let line = match words {
        [text] => text.clone(),
        words => shlex::try_join(words.iter().map(String::as_str))
            .map_err(|_| Error::usage("the command holds a NUL byte"))?,
    };
    if line.trim().is_empty() {
        return Err(Error::usage("there is no command").hint("fleet exec SELECTOR -- uptime"));
    }
    Ok(line)
}

fn show(context: &Context, answers: &[Answer], took: Duration) {
    match context.global.output {
        Output::Text => context.print(&exec_text(answers, took.as_secs_f64(), context.color())),
        Output::Json => context.print_rows(answers.iter().map(Answer::json)),
        // Each was printed as it came.
        Output::Jsonl => {}
    }
}

async fn ask(
    context: &Context,
    args: &ExecArgs,
    host: &str,
    command: &str,
    interrupt: watch::Receiver<Interrupt>,
) -> Answer {
    let stop = || {
        let mut interrupt = interrupt.clone();
        async move { drop(interrupt.wait_for(|level| *level != Interrupt::None).await) }
    };
    let link = tokio::select! {
        link = context.links.link(host) => link,
        () = stop() => Err(LinkError::new(LinkErrorKind::Connect, "interrupted before anything was sent")),
    };
    let r#become = becoming(context, args, host);
    match link {
        Ok(link) => answer(host, run_script_until(&link, r#become, SCRIPT, &[command], args.timeout, stop()).await),
        Err(error) => answer(host, Err(error)),
    }
}

fn becoming(context: &Context, args: &ExecArgs, host: &str) -> Become {
    if !args.sudo {
        return Become::None;
    }
    context.inventory.host(host).and_then(|host| host.ssh.r#become).unwrap_or_default()
}

fn answer(host: &str, output: std::result::Result<crate::ssh::Output, LinkError>) -> Answer {
    match output {
        Ok(output) => {
            let code = match output.exit {
                Exit::Code(code) => code,
                // As a shell would tell it.
                Exit::Signal(_) => 128,
            };
            Answer { host: host.into(), stdout: output.stdout, stderr: output.stderr, end: End::Exit(code) }
        }
        Err(error) => {
            let unknown = error.is_unknown();
            let LinkError { message, hint, partial, .. } = error;
            let partial = partial.unwrap_or_default();
            // The row begins with the host's name.
            let message = message.strip_prefix(&format!("{host}: ")).unwrap_or(&message).to_owned();
            let reason = Reason { message, hint };
            let end = if unknown { End::Unknown(reason) } else { End::Failed(reason) };
            Answer { host: host.into(), stdout: partial.stdout, stderr: partial.stderr, end }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn one_word_is_shell_and_several_are_quoted() {
        let line = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            command_line(&words).map_err(|error| error.message)
        };
        assert_eq!(line(&["echo $HOME | wc"]).unwrap(), "echo $HOME | wc");
        assert_eq!(line(&["echo", "$HOME", "a b"]).unwrap(), "echo '$HOME' 'a b'");
        assert_eq!(line(&["echo", ""]).unwrap(), "echo ''");
        for empty in [&[""][..], &["  "]] {
            assert_eq!(line(empty).unwrap_err(), "there is no command");
        }
    }
}
