//! Whether a stream still makes progress: one that trickles would be waited for as long as one may take at all.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::stands_still;
use crate::model::size::size;
use crate::ssh::{LinkError, LinkErrorKind};

/// What has come of a stream, and how long it was waited for.
pub struct Pace {
    still: Duration,
    least: usize,
    waited: Duration,
    came: usize,
}

impl Pace {
    /// A stream may stand still for `still`, and while it is waited for so long at least `least` bytes must come.
    pub fn new(still: Duration, least: usize) -> Self {
        Self { still, least, waited: Duration::ZERO, came: 0 }
    }

    /// What comes next; what passes until it is asked for counts for nothing.
    pub async fn next(
        &mut self,
        host: &str,
        coming: impl Future<Output = Result<Option<Vec<u8>>, LinkError>>,
    ) -> Result<Option<Vec<u8>>, LinkError> {
        let begun = Instant::now();
        let next = timeout(self.still, coming).await.unwrap_or_else(|_| Err(stands_still(host, self.still)))?;
        let Some(bytes) = &next else { return Ok(None) };
        self.waited += begun.elapsed();
        self.came += bytes.len();
        if self.waited >= self.still {
            if self.came < self.least {
                let text = format!("{host}: only {} came in {} s", size(self.came as u64), self.waited.as_secs());
                return Err(LinkError::new(LinkErrorKind::Overdue, text));
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const STILL: Duration = Duration::from_secs(60);

    /// Asks for so many pieces of `bytes`, one in `seconds`, with a pause before each; how many come.
    async fn pieces(bytes: usize, seconds: u64, pause: u64) -> (usize, Option<String>) {
        let mut pace = Pace::new(STILL, 1000);
        for came in 0..600 {
            sleep(Duration::from_secs(pause)).await;
            let coming = async {
                sleep(Duration::from_secs(seconds)).await;
                Ok(Some(vec![0; bytes]))
            };
            if let Err(error) = pace.next("val-1", coming).await {
                return (came, Some(error.message));
            }
        }
        (600, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_and_a_slow_stream_goes_on() {
        let (came, error) = pieces(1, 1, 0).await;
        assert_eq!((came, error.as_deref()), (59, Some("val-1: only 60 B came in 60 s")));
        assert_eq!(pieces(20, 1, 0).await, (600, None));
        assert_eq!(pieces(1, 0, 30).await, (600, None), "its reader is slow, not the stream");
        let (came, error) = pieces(1_000_000, 61, 0).await;
        assert!(came == 0 && error.unwrap().contains("nothing came for 60 s"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_may_come_late() {
        let mut pace = Pace::new(STILL, 1000);
        let end = async {
            sleep(Duration::from_secs(59)).await;
            Ok(None)
        };
        assert_eq!(pace.next("val-1", end).await.unwrap(), None);
    }
}
