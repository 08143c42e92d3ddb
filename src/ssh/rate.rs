//! A limit on the bytes that come in a second, over all streams together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The limit. What was not used of it is not saved up.
pub struct Rate {
    bytes_per_second: u64,
    /// When all that has come so far may have come.
    due: Mutex<Instant>,
}

impl Rate {
    /// At most so many bytes a second.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), due: Mutex::new(Instant::now()) }
    }

    /// Waits until so many more bytes may have come.
    pub async fn pass(&self, bytes: usize) {
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let takes = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let due = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            *due = Instant::now().max(*due) + takes;
            *due
        };
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_streams_together_stay_below_it() {
        let (rate, begun) = (Arc::new(Rate::new(1_000_000)), Instant::now());
        let stream = |rate: Arc<Rate>| async move {
            for _ in 0..10 {
                rate.pass(100_000).await;
            }
        };
        tokio::join!(stream(Arc::clone(&rate)), stream(rate));
        assert_eq!(begun.elapsed().as_millis(), 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_is_not_saved_up() {
        let rate = Rate::new(1_000_000);
        tokio::time::sleep(Duration::from_secs(100)).await;
        let begun = Instant::now();
        rate.pass(3_000_000).await;
        assert_eq!(begun.elapsed().as_millis(), 3000);
    }
}
