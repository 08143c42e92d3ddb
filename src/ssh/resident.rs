//! A shell that stays open on a host between questions: what beginning one costs there (a session of sshd, the login
//! shell, sudo) is paid once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::channel::MOST;
use super::link::{End, finish};
use super::shell::Framed;
use super::{Event, Exit, Link, LinkError, Output, Partial, Remote};
use crate::model::inventory::Become;

/// Shells that wait for the next question, at most one for each host.
#[derive(Default)]
pub struct Residents(Mutex<BTreeMap<String, Resident>>);

struct Resident {
    remote: Remote,
    link: Arc<Link>,
    r#become: Become,
}

impl Residents {
    /// Runs a script that reads no input and leaves nothing running, and returns what it wrote.
    pub async fn run(
        &self,
        link: &Arc<Link>,
        r#become: Become,
        (script, args): (&str, &[&str]),
        bound: Duration,
    ) -> Result<Output, LinkError> {
        let framed = Framed::question(r#become, script, args)?;
        if let Some(waiting) = self.take(link, r#become) {
            let (came, partial) = self.ask(waiting, &framed, bound).await;
            // It had ended before it read this, as when somebody ended it.
            let unread = matches!(came, End::Came(Event::Exit(_))) && !framed.has_begun(&partial);
            if !unread {
                return framed.inside(link.name(), finish(came, partial));
            }
        }
        let fresh = Resident { remote: link.open(framed.command).await?, link: Arc::clone(link), r#become };
        let (came, partial) = self.ask(fresh, &framed, bound).await;
        framed.inside(link.name(), finish(came, partial))
    }

    /// Asks, and keeps the shell where it has answered to the end.
    async fn ask(&self, mut resident: Resident, framed: &Framed, bound: Duration) -> (End, Partial) {
        let mut partial = Partial::default();
        let came = match timeout(bound, answer(&mut resident.remote, framed, &mut partial)).await {
            Ok(Some(end)) => End::Came(end),
            Ok(None) => {
                self.waiting().insert(resident.link.name().to_owned(), resident);
                End::Came(Event::Exit(Exit::Code(0)))
            }
            Err(_) => End::Overdue(bound),
        };
        (came, partial)
    }

    /// The one that waits on this very connection with these rights.
    fn take(&self, link: &Arc<Link>, r#become: Become) -> Option<Resident> {
        let waiting = self.waiting().remove(link.name())?;
        (Arc::ptr_eq(&waiting.link, link) && waiting.r#become == r#become).then_some(waiting)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Resident>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a script and reads what it writes; `None` when it has come to its end, else how the shell ended.
async fn answer(remote: &mut Remote, framed: &Framed, partial: &mut Partial) -> Option<Event> {
    // How it ended says more than a broken pipe.
    let _ = remote.write(framed.text.as_bytes()).await;
    loop {
        match remote.next().await {
            Event::Stdout(data) => partial.stdout.extend_from_slice(&data),
            Event::Stderr(data) => partial.stderr.extend_from_slice(&data),
            end => return Some(end),
        }
        if framed.is_answered(partial) {
            return None;
        }
        if partial.stdout.len() + partial.stderr.len() > MOST {
            return Some(Event::TooMuch);
        }
    }
}
